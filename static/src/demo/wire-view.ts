// Draws the wires, each with a wide invisible line around it that a finger can hit.
import { need, svg } from "./dom.ts";
import type { Glide } from "./glide.ts";
import { wireId, type Board, type Point, type Wire } from "./model/types.ts";
import { rubberPath, wirePath } from "./wire-path.ts";

type Drawn = {
  readonly wire: Wire;
  readonly group: SVGGElement;
  readonly lines: readonly SVGPathElement[];
};

export class WireView {
  private readonly list = need<SVGGElement>("wire-list");
  private readonly rubber = need<SVGPathElement>("rubber");
  private readonly drawn = new Map<string, Drawn>();

  constructor(private readonly glide: Glide) {}

  group(id: string): SVGGElement | undefined {
    return this.drawn.get(id)?.group;
  }

  render(board: Board): void {
    for (const [id, { group }] of this.drawn) {
      if (board.wires.has(id)) continue;
      group.remove();
      this.drawn.delete(id);
    }
    for (const wire of board.wires.values()) {
      const id = wireId(wire.from, wire.to);
      const { group } = this.drawn.get(id) ?? this.make(id, wire);
      const label = `Wire from ${board.steps.get(wire.from)?.name} to ${board.steps.get(wire.to)?.name}`;
      if (group.getAttribute("aria-label") !== label) group.setAttribute("aria-label", label);
    }
  }

  draw(ids: ReadonlySet<string>): void {
    for (const drawn of this.drawn.values())
      if (ids.has(drawn.wire.from) || ids.has(drawn.wire.to)) this.path(drawn);
  }

  state(selected: string | undefined, waiting: (id: string) => boolean): void {
    for (const [id, { group }] of this.drawn) {
      group.classList.toggle("selected", id === selected);
      group.classList.toggle("waiting", waiting(id));
    }
  }

  /** Shows a wire from a step to the pointer, or none. */
  pull(from: string | undefined, to?: Point): void {
    const at = from === undefined ? undefined : this.glide.now(from);
    this.rubber.toggleAttribute("hidden", !at || !to);
    if (at && to) this.rubber.setAttribute("d", rubberPath(at, to));
  }

  private make(id: string, wire: Wire): Drawn {
    const lines = ["reach", "line"].map((name) => svg("path", { class: name }));
    lines[1]!.setAttribute("marker-end", "url(#tip)");
    const group = svg(
      "g",
      { class: "wire", tabindex: 0, role: "group", "aria-roledescription": "wire", "data-id": id },
      ...lines,
    );
    const drawn = { wire, group, lines };
    this.drawn.set(id, drawn);
    this.list.append(group);
    this.path(drawn);
    return drawn;
  }

  private path({ wire, lines }: Drawn): void {
    const [a, b] = [this.glide.now(wire.from), this.glide.now(wire.to)];
    if (a && b) for (const line of lines) line.setAttribute("d", wirePath(a, b));
  }
}
