/** A custom route of the application, beside the API. */

import { Hono } from "hono";

export const app = new Hono().get("/hello/:name", (context) => context.text(`Hello, ${context.req.param("name")}!`));
