import type { ServerResponse } from "node:http";
import type { Slot, Waiting } from "./admission.ts";

/** The slot of `place`, now or when its turn comes. A client that goes away while it waits leaves the queue at once. Throws what refuses it. */
export async function slotOf(place: Slot | Waiting, response: ServerResponse): Promise<Slot> {
  if ("release" in place) return place;
  const leave = () => place.leave();
  response.once("close", leave);
  try {
    return await place.slot;
  } finally {
    response.off("close", leave);
  }
}
