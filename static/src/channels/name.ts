// Names of channels.

import { utf8Length } from "../codec.ts";

/** Longest name of a channel in bytes of UTF-8. */
export const NAME_BYTES = 128;

/** A surrogate without its other half: it would not arrive as it was sent. */
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Returns the name of a channel. Throws for what cannot be one. */
export function checkName(name: unknown): string {
  if (typeof name !== "string")
    throw new TypeError(
      `channel() takes the name of a channel, and this is ${name === null ? "null" : typeof name}`,
    );
  if (LONE_SURROGATE.test(name))
    throw new TypeError("the name of a channel is text, and this has half of a surrogate pair");
  const bytes = utf8Length(name);
  if (bytes > NAME_BYTES)
    throw new RangeError(
      `the name of a channel has at most ${NAME_BYTES} bytes, this has ${bytes}`,
    );
  return name;
}
