/** Short names for the bodies of the OpenAPI file. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Band = Schemas["Band"];
export type Comparison = Schemas["TaggingComparison"];
export type Dataset = Schemas["Dataset"];
export type Calibration = Schemas["TaggingCalibration"];
export type DecisionWord = Schemas["DecisionIn"]["decision"];
export type Explanation = Schemas["Explanation"];
export type Facets = Schemas["Facets"];
export type Job = Schemas["Job"];
export type Neighbour = Schemas["Neighbour"];
export type ReviewSample = Schemas["ReviewSample"];
export type Run = Schemas["Run"];
export type SampledTag = Schemas["SampledTag"];
export type Score = Schemas["Score"];
export type Tag = Schemas["Tag"];
export type TagChange = Schemas["TagChange"];
export type Tagging = Schemas["Tagging"];
export type ThresholdEffect = Schemas["ThresholdEffect"];

/** RFC 9457, as the server's errors are. */
export interface Problem {
  title: string;
  status: number;
  code: string;
  detail: string;
  errors: { code: string; message: string; field?: string | null; index?: number | null }[];
  request_id: string;
}

/** What can be shown of an example or a probe, whatever its modality. */
export type Shown = Pick<Tag, "picture_url" | "text" | "values">;
