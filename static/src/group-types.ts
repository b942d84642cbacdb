// The types of one group's data, which `PageGroup` takes as its one type parameter.

/**
 * Types of the data of a group, or of a channel of it. Each is `unknown` unless it is given. The library does not check
 * data at run time: other members may run other code.
 *
 * ```ts
 * const group = new PageGroup<{ message: { text: string }; profile: { name: string } }>();
 * ```
 */
export interface GroupTypes {
  /** A message: the argument of `send`, and the data of the event `message`. */
  message?: unknown;
  /** A message to one member: the argument of `sendTo`, and the data of the event `direct`. */
  direct?: unknown;
  /** A volatile message. No part of the API takes it yet. */
  cast?: unknown;
  /** The presence of a member. No part of the API takes it yet. */
  presence?: object;
  /** The profile of a member. */
  profile?: unknown;
  /** The claim `user` of a ticket. No part of the API returns it yet. */
  user?: unknown;
}

/** Types of a group that gives none. All its data are `unknown`. The same as `{}`. */
export type Untyped = Record<never, never>;

/** Type of the messages of a group. */
export type MessageOf<T extends GroupTypes> = T extends { message?: infer Message }
  ? Message
  : unknown;

/** Type of the messages of a group to one member. */
export type DirectOf<T extends GroupTypes> = T extends { direct?: infer Direct } ? Direct : unknown;

/** Type of the profiles of a group. */
export type ProfileOf<T extends GroupTypes> = T extends { profile?: infer Profile }
  ? Profile
  : unknown;
