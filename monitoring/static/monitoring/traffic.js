// The messages of one thing, in and out, as a chart.

import { chart } from "./chart.js";

export const MESSAGES = [
  { name: "in_msgs_rate", label: "in", type: "rate" },
  { name: "out_msgs_rate", label: "out", type: "rate" },
];

/** entity: of the series, as "server:NAME"; the chart lives as long as its drawer */
export function traffic(drawer, picture, entity) {
  const made = chart(picture, { entity, title: "Messages", high: 140, metrics: MESSAGES });
  drawer.signal.addEventListener("abort", () => made.destroy());
}
