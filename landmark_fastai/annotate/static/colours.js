/** Colours of landmarks: those of Okabe and Ito, which the colour-blind tell apart; a number stands beside each. */

const COLOURS = ['#e69f00', '#56b4e9', '#f0e442', '#cc79a7', '#d55e00', '#2bc79a', '#ffffff', '#4d9de0'];

export function colourOf(index) { return COLOURS[index % COLOURS.length]; }
