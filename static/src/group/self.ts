// The id and the profile of this member.

import type { MemberInfo, PeerId } from "./types.ts";

export class Self {
  profile: unknown;

  constructor(public id: PeerId) {}

  get info(): MemberInfo {
    const { profile } = this;
    return { group: true, ...(profile === undefined ? {} : { profile }) };
  }
}
