// Messages and requests to one member, as the application makes and gets them: the promises, the
// handlers, and what they say in envelopes.

import { pack, unpack, type Packed } from "../codec.ts";
import { PeerstarError } from "../errors.ts";
import { defaults, type Effect, type Event } from "../group/index.ts";
import type { ChannelApp } from "./channel.ts";
import { PURPOSE, unwrap, wrap, type Purpose } from "./envelope.ts";
import type { DirectOptions, RequestHandler, RequestOptions } from "./requests.ts";

type Handed = Extract<Effect, { type: "direct" | "request" }>;
type Settling = Extract<Effect, { type: "requestEnded" | "settleDirect" | "answered" }>;

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A message or request that is not packed yet. */
interface Call {
  readonly purpose: Purpose;
  readonly channel: string;
  readonly id: unknown;
  readonly data: unknown;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
/** A timer takes no longer time. */
const LONGEST_MS = 2 ** 31 - 1;
/** Most characters of the words of an error that go to the other page. */
const WORDS = 1000;

/** First letter of an answer. */
const VALUE = "+";
const NOTHING = "0";
const REJECTED = "-";
const NO_HANDLER = "?";

export class DirectCalls {
  readonly #feed: (event: Event) => void;
  readonly #apps = new Map<string, ChannelApp>();
  readonly #handlers = new Map<string, RequestHandler>();
  readonly #pending = new Map<number, Pending>();
  /** The requests of others that are not answered, and not given up. */
  readonly #open = new Map<number, AbortController>();
  #lastToken = 0;
  /** Why the group has ended. */
  #end: PeerstarError | undefined;

  constructor(page: ChannelApp, feed: (event: Event) => void) {
    this.#apps.set("", page);
    this.#feed = feed;
  }

  openChannel(name: string, app: ChannelApp): void {
    this.#apps.set(name, app);
  }

  // --- called by the page ---

  sendTo(channel: string, id: unknown, data: unknown, options: DirectOptions = {}): Promise<void> {
    const { signal } = options;
    return this.#call({ purpose: PURPOSE.direct, channel, id, data, signal }) as Promise<void>;
  }

  request(
    channel: string,
    id: unknown,
    data: unknown,
    { signal, timeoutMs = TIMEOUT_MS }: RequestOptions = {},
  ): Promise<unknown> {
    if (typeof timeoutMs !== "number" || !(timeoutMs >= 0 && timeoutMs <= LONGEST_MS))
      return Promise.reject(
        new RangeError(`timeoutMs is a time from 0 to ${LONGEST_MS} ms, and this is ${timeoutMs}`),
      );
    const purpose = PURPOSE.request;
    return this.#call({ purpose, channel, id, data, signal, timeoutMs: Math.ceil(timeoutMs) });
  }

  handle(channel: string, handler: RequestHandler): () => void {
    if (typeof handler !== "function")
      throw new TypeError(`handle() takes a function, and this is ${typeof handler}`);
    this.#handlers.set(channel, handler);
    return () => {
      if (this.#handlers.get(channel) === handler) this.#handlers.delete(channel);
    };
  }

  /** From now on all calls are rejected with `error`. Handlers are told that nobody waits. */
  close(error: PeerstarError): void {
    this.#end = error;
    for (const controller of this.#open.values()) controller.abort();
    this.#open.clear();
  }

  #call({ purpose, channel, id, data, signal, timeoutMs }: Call): Promise<unknown> {
    if (typeof id !== "string")
      return Promise.reject(new TypeError(`the id of a member is text, and this is ${typeof id}`));
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    let packed: Packed;
    try {
      packed = pack(data);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#end) return Promise.reject(this.#end);
    const token = ++this.#lastToken;
    const promise = this.#pendingUntil(token, signal);
    this.#feed({
      type: "sendTo",
      token,
      to: id,
      data: wrap(purpose, channel, packed.text),
      size: packed.size,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    return promise;
  }

  #pendingUntil(token: number, signal: AbortSignal | undefined): Promise<unknown> {
    const promise = new Promise<unknown>((resolve, reject) =>
      this.#pending.set(token, { resolve, reject }),
    );
    if (!signal) return promise;
    const aborted = (): void => {
      const pending = this.#settled(token);
      if (!pending) return;
      this.#feed({ type: "abort", token });
      pending.reject(signal.reason);
    };
    signal.addEventListener("abort", aborted);
    return promise.finally(() => signal.removeEventListener("abort", aborted));
  }

  #settled(token: number): Pending | undefined {
    const pending = this.#pending.get(token);
    this.#pending.delete(token);
    return pending;
  }

  // --- outcomes ---

  perform(effect: Settling): void {
    const { token, type } = effect;
    if (type === "requestEnded") {
      this.#open.get(token)?.abort();
      this.#open.delete(token);
      return;
    }
    const pending = this.#settled(token);
    if (!pending) return;
    if (type === "answered") return readAnswer(effect.data, pending);
    const { error } = effect;
    if (error === undefined) pending.resolve(undefined);
    else pending.reject(error === "Closed" && this.#end ? this.#end : new PeerstarError(error));
  }

  // --- messages and requests of others ---

  /** Notes a request before its turn, so that it can be given up meanwhile. */
  expect(effect: Handed): void {
    if (effect.type === "request") this.#open.set(effect.token, new AbortController());
  }

  /** Hands the page a message or request in its turn. */
  hand(effect: Handed): void {
    const envelope = unwrap(effect.data);
    if (effect.type === "request") {
      const isRequest = envelope?.purpose === PURPOSE.request;
      this.#answer(effect, isRequest ? envelope : { channel: "", payload: undefined });
    } else if (envelope?.purpose === PURPOSE.direct) {
      const { from } = effect;
      const app = this.#apps.get(envelope.channel);
      try {
        const data = unpack(envelope.payload);
        app?.emit("direct", data, { from });
      } catch (error) {
        console.error(`peerstar: a message of ${from} cannot be read:`, error);
      }
    }
  }

  #answer(
    { from, token }: Extract<Handed, { type: "request" }>,
    { channel, payload }: { readonly channel: string; readonly payload: unknown },
  ): void {
    const controller = this.#open.get(token);
    if (!controller) return;
    const handler = this.#handlers.get(channel);
    const reply = (answer: string, size: number): void => {
      if (!this.#open.delete(token)) return;
      const data = wrap(PURPOSE.reply, channel, answer);
      this.#feed({ type: "reply", token, data, size });
    };
    const failed = (error: unknown): void => {
      const words = wordsOf(error);
      reply(`${REJECTED}${words}`, words.length);
    };
    if (!handler) return reply(NO_HANDLER, 1);
    const succeeded = (answer: unknown): void => {
      if (answer === undefined) return reply(NOTHING, 1);
      const { text, size } = pack(answer);
      if (size > defaults.messageBytes) throw new RangeError("the answer is larger than 1 MiB");
      reply(`${VALUE}${text}`, size);
    };
    try {
      const answer = handler(unpack(payload), { from, signal: controller.signal });
      if (isPromise(answer)) void answer.then(succeeded).then(undefined, failed);
      else succeeded(answer);
    } catch (error) {
      failed(error);
    }
  }
}

/** Settles a request with the answer of another page, which may be anything. */
function readAnswer(data: unknown, { resolve, reject }: Pending): void {
  const envelope = unwrap(data);
  const text = envelope?.purpose === PURPOSE.reply ? envelope.payload : "";
  const rest = text.slice(1);
  try {
    switch (text[0]) {
      case VALUE:
        return resolve(unpack(rest));
      case NOTHING:
        return resolve(undefined);
      case NO_HANDLER:
        return reject(new PeerstarError("NoHandler"));
      case REJECTED:
        return reject(new PeerstarError("Rejected", rest === "" ? undefined : rest));
      default:
        return reject(new PeerstarError("Rejected", "The answer cannot be read."));
    }
  } catch {
    reject(new PeerstarError("Rejected", "The answer cannot be read."));
  }
}

/** Returns the message of what a handler threw. A stack stays here. */
function wordsOf(error: unknown): string {
  const message = (error as { message?: unknown } | null | undefined)?.message;
  const words = typeof message === "string" ? message : typeof error === "string" ? error : "";
  return words.slice(0, WORDS);
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
