/** The call that lists what was taken out of the plant; raises ApiError. */

import { api, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

export type RetiredAsset = components["schemas"]["PlacedAsset"];

export const fetchRetired = async (): Promise<RetiredAsset[]> =>
  (await unwrap(api.GET("/api/v1/assets"))).filter(({ retired }) => retired);
