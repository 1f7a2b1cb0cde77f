/** A login: a bearer token is the user's name, and only its owner can access a thread. */

import { Auth, HTTPException } from "@langchain/langgraph-sdk/auth";

export const auth = new Auth()
  .authenticate(async (request: Request) => {
    const header = request.headers.get("authorization");
    if (header === "body") return { identity: await request.text(), permissions: ["read"] };
    if (header === "broken") throw new Error("the database is away");
    if (!header?.startsWith("Bearer ")) throw new HTTPException(401, { message: "Who are you?" });
    return { identity: header.slice(7), permissions: [], email: `${header.slice(7)}@example.com` };
  })
  .on("threads:create", ({ value, user }) => {
    value.metadata = { ...value.metadata, owner: user.identity };
  })
  .on("threads", ({ user }) => ({ owner: user.identity }))
  .on("delete", () => false);
