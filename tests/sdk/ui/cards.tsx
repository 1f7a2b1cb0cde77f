/** Components of the agents' own, for pages that show them: a script, a style, a hook of the page's and packages of React's. */

import { useStreamContext } from "@langchain/langgraph-sdk/react-ui";
import { useState } from "react";

import "./cards.css";

type Props = { city: string; degrees: number };

function Weather({ city, degrees }: Props) {
  const [liked, setLiked] = useState(0);
  const stream = useStreamContext() as unknown as { messages: unknown[]; meta?: unknown };
  return (
    <section className="weather-card border shadow-md">
      <h2>{city}</h2>
      <p>{`${degrees} degrees, ${stream.messages.length} messages`}</p>
      <button onClick={() => setLiked(liked + 1)}>{`liked ${liked}`}</button>
    </section>
  );
}

export default { weather: Weather };
