import assert from "node:assert/strict";
import { test } from "node:test";
import { fetchTicket, idOfTicket } from "../src/ticket.ts";

const ticket = (payload: string): string =>
  `head.${Buffer.from(payload).toString("base64url")}.sig`;

test("idOfTicket reads the id without checking the signature", () => {
  assert.equal(idOfTicket(ticket('{"id":"ann","exp":1}')), "ann");
  assert.equal(idOfTicket(`\n ${ticket('{"id":"Jürgen 界 😀?>"}')}\n`), "Jürgen 界 😀?>");
  for (const payload of ["{}", '{"id":7}', '{"id":""}', '{"id":null}', "null", "7", "{", '"id"'])
    assert.equal(idOfTicket(ticket(payload)), undefined, payload);
  for (const text of ["", "abc", "a.b", "a.%%%.c", "a.b.c"])
    assert.equal(idOfTicket(text), undefined, text);
});

test("fetchTicket trims white space, such as a final line break", async () => {
  assert.equal(await fetchTicket(() => " a.b.c\r\n"), "a.b.c");
  await assert.rejects(
    fetchTicket(() => " \n"),
    /an empty text/,
  );
  await assert.rejects(
    fetchTicket(() => 7 as unknown as string),
    /gave number/,
  );
});
