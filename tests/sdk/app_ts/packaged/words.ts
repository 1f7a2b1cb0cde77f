/** A neighbour, to see that relative imports work. */

export const GREETING = "Welcome";
