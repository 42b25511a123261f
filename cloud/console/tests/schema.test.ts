import { readFileSync } from "node:fs";
import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, test } from "vitest";

test("schema.d.ts is what `npm run types` makes of cloud/openapi.json", async () => {
  const document = new URL("../../openapi.json", import.meta.url);
  const made = COMMENT_HEADER + astToString(await openapiTS(document, { silent: true }));
  expect(readFileSync(new URL("../src/api/schema.d.ts", import.meta.url), "utf8")).toBe(made);
});
