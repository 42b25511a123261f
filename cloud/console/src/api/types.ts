/** Short names for the shapes of cloud/openapi.json; schema.d.ts is written by `npm run types`. */

import type { components } from "./schema";

export type { paths } from "./schema";

type Schemas = components["schemas"];

export type Asset = Schemas["AssetDetail"];
export type AssetStatus = Schemas["AssetStatus"];
export type BucketSeries = Schemas["BucketSeries"];
export type History = Schemas["History"];
export type LastColumns = Schemas["LastColumns"];
export type Me = Schemas["WhoAmI"];
export type PlacedAsset = Schemas["PlacedAsset"];
export type PlantTree = Schemas["PlantView"];
export type Problem = Schemas["ProblemDocument"];
export type RawSeries = Schemas["RawSeries"];
export type Signal = Schemas["SignalView"];
