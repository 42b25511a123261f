/** Where the data of a machine is downloaded from. */

import type { HistoryQuery } from "../../plant/calls";

/** The address from which a browser downloads raw samples. */
export function exportUrl(query: Omit<HistoryQuery, "points">, format: "csv" | "parquet"): string {
  const parameters = new URLSearchParams({ asset: query.asset, format });
  for (const signal of query.signals) parameters.append("signal", signal);
  parameters.append("start", new Date(query.start).toISOString());
  parameters.append("end", new Date(query.end).toISOString());
  return `/api/v1/telemetry/export?${parameters}`;
}
