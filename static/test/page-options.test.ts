// Tests the checks of a group's options that need no browser.

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkProfile } from "../src/page-options.ts";

test("a profile is copied through JSON", () => {
  const profile = { name: "Ann", born: new Date(0) };
  const checked = checkProfile(profile);
  profile.name = "Bob";
  assert.deepEqual(checked, { name: "Ann", born: "1970-01-01T00:00:00.000Z" });
});

test("a profile above the limit is a RangeError that names the limit", () => {
  const profile = "x".repeat(1022);
  assert.equal(checkProfile(profile), profile);
  assert.throws(() => checkProfile(`${profile}x`), /^RangeError: .* 1024 bytes .* 1025$/);
  assert.equal(checkProfile(`${profile}x`, 2048), `${profile}x`);
  assert.throws(() => checkProfile(profile, 512), /^RangeError: .* 512 bytes .* 1024$/);
});

test("a profile that is null, undefined or no JSON is a TypeError", () => {
  for (const profile of [null, undefined, new Uint8Array(1), () => {}])
    assert.throws(() => checkProfile(profile), TypeError);
});
