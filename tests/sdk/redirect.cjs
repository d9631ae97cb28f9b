// Preload: the published client has its servers' addresses built in; this sends it to TICKETING_URL instead.
// Only the origin changes, so the path the client asks for (/v3/...) stays its own.

const { createRequire } = require("node:module");

const clientModule = require.resolve("@ticketing/ticketing-nodejs-sdk", { paths: [__dirname] });
const axios = createRequire(clientModule)("axios");

const server = process.env.TICKETING_URL;
if (!server) {
  console.error("Set TICKETING_URL to the server's address, for example http://localhost:8000");
  process.exit(2);
}

const create = axios.create;

axios.create = (config) => {
  const path = new URL(config.baseURL).pathname;
  // A proxy set in the environment must not stand between the walk and a server on this machine.
  return create.call(axios, { ...config, baseURL: new URL(path, server).href, proxy: false });
};
