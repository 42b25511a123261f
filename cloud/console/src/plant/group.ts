/** Machines under their lines and areas, in a steady order. */

import { nameOf, type Locale } from "../format/names";
import { isNode, type Machine } from "./plant";

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
  });
}

export function placeName(id: string, locale: Locale): string {
  return id === "_" ? "–" : nameOf(id, locale);
}

function pathOf(machine: Machine): string {
  const { enterprise, site, area, line } = machine.place;
  return [enterprise, site, area, line, machine.id].join("/");
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
