// What the page knows, and who shows it.

export const state = {
  control: false,
  clock: { now: 0, frozen: false },
  clockHeard: 0,
  faults: [],
  secrets: new Map(),
  requests: [],
  rotations: [],
};

const parts = [];
export const onDraw = (part) => parts.push(part);

/** Draws at most once a frame, however much is heard. */
let isDrawing = false;
export function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    for (const part of parts) part();
  });
}
