// A small chat around the `useStream` of `@langchain/react`, which speaks the event streaming protocol. Its address names
// server, graph, thread and transport:
// ?hook=protocol&url=…&graph=…&thread=…&transport=sse|websocket

import { useStream } from "@langchain/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const address = new URL(window.location.href);
const option = (name) => address.searchParams.get(name) ?? undefined;

/** Every text that the page showed for a message, for tests of the intermediate states. */
window.seen = [];

const text = (message) => (typeof message.content === "string" ? message.content : message.text ?? message.content.map((block) => block.text ?? "").join(""));

function remember(messages) {
  const last = messages.at(-1);
  const shown = last?.getType() === "ai" ? text(last) : undefined;
  if (shown && window.seen.at(-1) !== shown) window.seen.push(shown);
}

function Question({ stream }) {
  const [answer, setAnswer] = useState("");
  return (
    <form className="question" onSubmit={(event) => {
      event.preventDefault();
      stream.respond(answer);
    }}>
      <label>{JSON.stringify(stream.interrupt.value)}
        <input id="answer" value={answer} onChange={(event) => setAnswer(event.target.value)} />
      </label>
      <button id="resume">answer</button>
    </form>
  );
}

function Chat() {
  const [threadId, setThreadId] = useState(option("thread") ?? null);
  const [draft, setDraft] = useState("");
  const stream = useStream({
    apiUrl: option("url"),
    assistantId: option("graph"),
    transport: option("transport") ?? "sse",
    threadId,
    onThreadId: (id) => {
      setThreadId(id);
      address.searchParams.set("thread", id);
      window.history.replaceState({}, "", address);
    },
  });
  remember(stream.messages);
  const submit = (event) => {
    event.preventDefault();
    setDraft("");
    // Graphs without messages take their input as JSON.
    stream.submit(draft.startsWith("{") ? JSON.parse(draft) : { messages: [{ type: "human", content: draft }] });
  };
  return (
    <main>
      <ul>{stream.messages.map((message, index) => (
        <li className="message" key={message.id ?? index}><span className="text">{text(message)}</span></li>
      ))}</ul>
      <pre id="values">{JSON.stringify(stream.values)}</pre>
      <ul>{stream.toolCalls.map((call, index) => <li className="tool" key={index}>{`${call.name} ${JSON.stringify(call.output ?? null)}`}</li>)}</ul>
      <p id="status">{stream.isLoading ? "loading" : "idle"}</p>
      {stream.error && <p id="error">{String(stream.error.message ?? stream.error)}</p>}
      {stream.interrupt && <Question stream={stream} />}
      <form onSubmit={submit}>
        <input id="text" value={draft} onChange={(event) => setDraft(event.target.value)} />
        <button id="send">send</button>
        <button id="stop" type="button" onClick={() => stream.stop()}>stop</button>
      </form>
    </main>
  );
}

createRoot(document.getElementById("root")).render(<Chat />);
