/** Machines under their lines and areas, in a steady order. */

import { titleOf, type Locale } from "../format/names";
import { isNode, type Machine } from "./machine";
import { isLost } from "./state";

export interface LineGroup {
  readonly key: string;
  readonly title: string;
  readonly machines: readonly Machine[];
  /** The edge nodes that serve the line, when they have reported. */
  readonly nodes: readonly Machine[];
}

export interface AreaGroup {
  readonly key: string;
  readonly title: string;
  readonly lines: readonly LineGroup[];
}

/** Group by enterprise, site and area, then by line; ids become words, and the site stands before where there are many. */
export function byPlace(machines: readonly Machine[], locale: Locale): AreaGroup[] {
  const sites = new Set(machines.map(({ place }) => `${place.enterprise}/${place.site}`));
  const areas = new Map<string, Map<string, Machine[]>>();
  const sorted = [...machines].sort((a, b) => compare(pathOf(a), pathOf(b)));
  for (const machine of sorted) {
    const { enterprise, site, area, line } = machine.place;
    const key = `${enterprise}/${site}/${area}`;
    const lines = areas.get(key) ?? new Map<string, Machine[]>();
    areas.set(key, lines);
    lines.set(line, [...(lines.get(line) ?? []), machine]);
  }
  return [...areas].map(([key, lines]) => {
    const [, site = "", area = ""] = key.split("/");
    return {
      key,
      title: [...(sites.size > 1 || area === "_" ? [placeName(site, locale)] : []), ...(area === "_" ? [] : [placeName(area, locale)])].join(" · "),
      lines: [...lines].map(([line, members]) => ({
        key: `${key}/${line}`,
        title: placeName(line, locale),
        machines: members.filter((machine) => !isNode(machine)),
        nodes: members.filter(isNode),
      })),
    };
  }).map((area) => ({ ...area, lines: area.lines.filter(isThere) })).filter(({ lines }) => lines.length > 0);
}

/** A line whose machines were all taken away is gone with its edge node. */
function isThere({ machines, nodes }: LineGroup): boolean {
  return machines.length > 0 || nodes.some(({ standing }) => !isLost(standing));
}

/** Columns of tiles that lines of so many machines use, of at most `room`: a line goes on, or begins a new row. */
export function columnsOf(lines: readonly number[], room: number): number {
  let used = 1;
  let at = 0;
  for (const machines of lines) {
    const span = Math.min(room, Math.max(1, machines));
    at = at + span > room ? span : at + span;
    used = Math.max(used, at);
  }
  return used;
}

export function placeName(id: string, locale: Locale): string {
  return id === "_" ? "–" : titleOf(id, locale);
}

function pathOf(machine: Machine): string {
  const { enterprise, site, area, line } = machine.place;
  return [enterprise, site, area, line, machine.id].join("/");
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
