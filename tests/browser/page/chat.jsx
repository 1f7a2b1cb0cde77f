// A small chat around `useStream`. Its address names server, graph and thread: ?url=…&graph=…&thread=…&reconnect=1

import { useStream } from "@langchain/langgraph-sdk/react";
import { LoadExternalComponent, uiMessageReducer } from "@langchain/langgraph-sdk/react-ui";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const address = new URL(window.location.href);
const option = (name) => address.searchParams.get(name) ?? undefined;

/** Every text that the page showed for a message, for tests of the intermediate states. */
window.seen = [];

function remember(messages) {
  const text = messages.at(-1)?.type === "ai" ? messages.at(-1).content : undefined;
  if (text && window.seen.at(-1) !== text) window.seen.push(text);
}

function Message({ message, stream }) {
  const metadata = stream.getMessagesMetadata(message);
  const checkpoint = metadata?.firstSeenState?.parent_checkpoint;
  const branches = metadata?.branchOptions ?? [];
  const place = branches.indexOf(metadata?.branch);
  const edited = () => ({ messages: [{ type: "human", content: `${message.content}, edited` }] });
  return (
    <li className="message" data-type={message.type}>
      <span className="text">{message.content}</span>
      {checkpoint && message.type === "human" && (
        <button className="edit" onClick={() => stream.submit(edited(), { checkpoint })}>edit</button>
      )}
      {checkpoint && message.type === "ai" && (
        <button className="regenerate" onClick={() => stream.submit(undefined, { checkpoint })}>regenerate</button>
      )}
      {branches.length > 1 && (
        <span className="branches">
          <button className="previous" onClick={() => stream.setBranch(branches[place - 1])}>previous</button>
          <b className="place">{`${place + 1}/${branches.length}`}</b>
          <button className="next" onClick={() => stream.setBranch(branches[place + 1])}>next</button>
        </span>
      )}
    </li>
  );
}

function Question({ stream }) {
  const [answer, setAnswer] = useState("");
  return (
    <form className="question" onSubmit={(event) => {
      event.preventDefault();
      stream.submit(undefined, { command: { resume: answer } });
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
  const [text, setText] = useState("");
  const stream = useStream({
    apiUrl: option("url"),
    apiKey: "not-a-secret",
    defaultHeaders: { "x-auth-scheme": "langsmith-api-key" },
    assistantId: option("graph"),
    threadId,
    onThreadId: (id) => {
      setThreadId(id);
      address.searchParams.set("thread", id);
      window.history.replaceState({}, "", address);
    },
    reconnectOnMount: option("reconnect") === "1",
    fetchStateHistory: true,
    onCustomEvent: (event, { mutate }) => mutate((before) => ({ ...before, ui: uiMessageReducer(before.ui ?? [], event) })),
  });
  remember(stream.messages);
  const submit = (event) => {
    event.preventDefault();
    setText("");
    // Graphs without messages take their input as JSON.
    const messages = [{ type: "human", content: text }];
    stream.submit(text.startsWith("{") ? JSON.parse(text) : { messages }, {
      optimisticValues: (before) => ({ ...before, messages: [...(before.messages ?? []), ...messages] }),
    });
  };
  return (
    <main>
      <ul>{stream.messages.map((message, index) => <Message key={message.id ?? index} message={message} stream={stream} />)}</ul>
      {stream.values.ui?.map((ui) => (
        <div className="card" key={ui.id}>
          <LoadExternalComponent stream={stream} message={ui} fallback={<i>loading</i>} />
        </div>
      ))}
      <pre id="values">{JSON.stringify(stream.values)}</pre>
      <p id="status">{stream.isLoading ? "loading" : "idle"}</p>
      {stream.error && <p id="error">{String(stream.error.message)}</p>}
      {stream.interrupt && <Question stream={stream} />}
      <form onSubmit={submit}>
        <input id="text" value={text} onChange={(event) => setText(event.target.value)} />
        <button id="send">send</button>
        <button id="stop" type="button" onClick={() => stream.stop()}>stop</button>
      </form>
    </main>
  );
}

createRoot(document.getElementById("root")).render(<Chat />);
