/** Routes beside the API, and middleware in front of both. */

import { Hono } from "hono";

export const app = new Hono();

app.use("*", async (context, next) => {
  await next();
  context.res.headers.set("x-passed", "yes");
});
app.get("/custom/:name", (context) => context.json({ hello: context.req.param("name") }));
app.post("/custom/echo", async (context) => context.body(await context.req.text()));
