// The id and the profile of this member, and what its library can do.

import type { MemberInfo, PeerId } from "./types.ts";

export class Self {
  profile: unknown;

  constructor(
    public id: PeerId,
    readonly can: readonly string[],
  ) {}

  get info(): MemberInfo {
    const { profile } = this;
    return { group: true, ...(profile === undefined ? {} : { profile }) };
  }
}
