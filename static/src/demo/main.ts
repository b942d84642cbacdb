// The demo page: a seat at the server, the star made of it, and what is seen of both.
import { addressOf, pageProblem } from "./address.ts";
import { PeerSeat, randomId, type SeatStatus } from "./seat.ts";
import { Star } from "./star.ts";
import { View } from "./view.ts";
import type { FromServer } from "./wire.ts";
import { causeInWords, shortId } from "./words.ts";

const address = addressOf(new URL(location.href));
const problem = pageProblem(address.page);
if (problem) refuse(problem);
else start();

function start(): void {
  const me = randomId();
  let status: SeatStatus = { state: "connecting" };

  const view = new View(address.page, me, {
    write: (text) => star.write(text),
    connect: (text) => connectByHand(text),
    retry: () => (status.state === "closed" ? location.reload() : seat.retryNow()),
  });

  const star = new Star(me, (id, label) => seat.connect(id, label), {
    changed: soon(() => view.show(star)),
    line: (line) => view.line(line),
    note: (text) => view.note(text),
    hello: (from, text) => view.note(`${shortId(from)} says “${text}” over a connection made by hand.`),
    hand(id, end) {
      const words = {
        open: `Connected to ${shortId(id)} and said hello.`,
        closed: `The connection to ${shortId(id)} has ended.`,
        unanswered: `${shortId(id)} does not answer.`,
        absent: "Nobody on this page has that id.",
      };
      view.hand(words[end ?? "open"]);
    },
  });

  // Last, because it begins to talk at once.
  const seat = new PeerSeat(me, address, {
    status(next) {
      status = next;
      view.status(next);
    },
    said: (message) => hear(message),
    dialled: (connection) => star.answer(connection),
  });

  function hear(message: FromServer): void {
    switch (message.type) {
      case "assigned": {
        const before = star.assignment;
        star.assign(message.assignment);
        if (before && before.host !== message.assignment.host) noteChange(message.assignment.host, message.assignment.cause);
        break;
      }
      case "joined":
        return star.joined(message.id);
      case "left":
        return star.left(message.id);
      case "absent":
        return star.absent(message.id);
      case "refused":
      case "restarting":
        return; // the seat's business
    }
  }

  function noteChange(host: string, cause: string | undefined): void {
    const who = host === me ? "You are the host now" : `${shortId(host)} is the host now`;
    view.note(cause ? `${who}: ${causeInWords(cause)}.` : `${who}.`);
  }

  /** Takes the beginning of an id, too, when only one here begins so. */
  function connectByHand(text: string): void {
    const known = star.seats.map(({ id }) => id).filter((id) => id.startsWith(text));
    const id = known.length === 1 ? known[0]! : text;
    if (id === me) view.hand("That is your own id. Take one of the others’.");
    else if (/[^A-Za-z0-9_ -]/.test(id)) view.hand("That does not look like an id: they are letters, digits and dashes.");
    else if (star.connectByHand(id)) view.hand(`Connecting to ${shortId(id)}…`);
    else view.hand("There is no connection to the server now, so no new link can be made.");
  }

  addEventListener("pagehide", () => seat.leave());
  // Brought back from the browser's memory, the page has left already: begin anew.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

/** A crowd that comes at once is drawn once. */
function soon(then: () => void): () => void {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      then();
    }, 30);
  };
}

function refuse(why: string): void {
  document.body.dataset["server"] = "closed";
  document.getElementById("status")!.textContent = why;
}
