// The peer's side of the bench `changes`: a virtual object that reads 1 KB of state, changes it and writes it.

import http2 from "node:http2";
import { createEndpointHandler, object } from "@restatedev/restate-sdk";

// The SDK needs it at the first call, and Node has it since 22.
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((res, rej) => ([resolve, reject] = [res, rej]));
  return { promise, resolve, reject };
};

const FILLER = "x".repeat(1000);

const instance = object({
  name: "instance",
  handlers: {
    restart: async (context) => {
      const state = (await context.get("state")) ?? { restarts: 0, filler: FILLER };
      context.set("state", { ...state, restarts: state.restarts + 1 });
    },
  },
});

const server = http2.createServer(createEndpointHandler({ services: [instance] }));
// With Nagle's algorithm on, each answer would wait for an acknowledgement.
server.on("connection", (socket) => socket.setNoDelay(true));
server.listen(Number(process.argv[2]), "127.0.0.1");
