/** The chart's inner edges, which the strip below it shares, so that an epoch stands under itself. */

export const MARGIN = { marginLeft: 44, marginRight: 10, marginTop: 22, marginBottom: 24 };
