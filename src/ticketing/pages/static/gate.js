// The gate: judges what is scanned with the server where it is heard, by itself where it is not, and keeps every scan
// with its moment and a nonce until the server has it.
import { watch } from "./gate-camera.js";
import * as store from "./gate-store.js";
import { isSigned, parse } from "./gate-tickets.js";

const VERSION = "3.1.2";
const ANSWER_MS = 2500; // then the gate decides by itself: nobody waits in a queue for a network
const SYNC_MS = 10_000;
const SHOWN_MS = { good: 1600, bad: 4000 };
const MOST = 500;

const words = JSON.parse(document.body.dataset.words);
const at = (id) => document.getElementById(id);
const device = (localStorage.device ??= `web-${crypto.randomUUID().slice(0, 8)}`);

let gate = null; // { key, event, sections, redeemer, title, zone, opens, shift, keys, cursor }
let isOnline = true;
let isBusy = false;
let stopCamera = null;

// --- the API

class Unheard extends Error {}

async function call(method, path, body, { key = gate.key, nonce = "", wait = 8000 } = {}) {
  const headers = { "X-API-Key": key, "X-Client-Version": VERSION };
  if (body) headers["Content-Type"] = "application/json";
  if (nonce) headers["Idempotency-Key"] = nonce;
  let answer;
  const asked = Date.now();
  try {
    answer = await fetch(`/v3${path}`, { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal: AbortSignal.timeout(wait) });
  } catch {
    setOnline(false);
    throw new Unheard();
  }
  if (answer.status >= 500 || answer.status === 429) {
    setOnline(answer.status === 429);
    throw new Unheard();
  }
  setOnline(true);
  const date = Date.parse(answer.headers.get("Date"));
  if (gate && date) gate.shift = date + 500 - (asked + Date.now()) / 2;
  return { status: answer.status, body: await answer.json() };
}

function setOnline(is) {
  isOnline = is;
  showState();
}

const now = () => new Date(Date.now() + (gate.shift || 0));

// --- entering

async function enter(code, redeemer) {
  const found = await call("GET", `/tokens/${encodeURIComponent(code)}`, null, { key: document.body.dataset.visitorsKey });
  if (found.status !== 200) return "code wrong";
  await store.forgetAll();
  gate = { key: found.body.key, event: found.body.event, sections: found.body.sections, redeemer, keys: [], cursor: "", shift: 0 };
  await store.keepFact("gate", gate);
  return "";
}

at("enter").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const trouble = at("enter-trouble");
  trouble.hidden = true;
  let said;
  try {
    said = await enter(at("code").value, at("redeemer").value.trim());
  } catch {
    said = "no network";
  }
  if (said) {
    trouble.textContent = words[said];
    trouble.hidden = false;
    return;
  }
  history.replaceState(null, "", "/gate");
  open();
});

at("leave").addEventListener("click", async () => {
  await upload();
  if ((await waiting()).length) return showState();
  stopCamera?.();
  await store.forgetAll();
  location.reload();
});

async function open() {
  at("enter").hidden = true;
  at("scanner").hidden = false;
  // Beside the rest: a camera that is slow, or asks for leave, keeps nobody from typing a number.
  watch(at("video"), (text) => scan(text)).then(
    (stop) => (stopCamera = stop),
    () => {
      at("camera-note").textContent = words["camera denied"];
      at("camera-note").hidden = false;
    },
  );
  await sync();
  setInterval(sync, SYNC_MS);
  at("serial").focus();
}

// --- keeping up with the server

let syncing = null;
function sync() {
  syncing ??= syncNow().finally(() => (syncing = null));
  return syncing;
}

async function syncNow() {
  try {
    await upload();
    if (!gate.title) {
      const event = (await call("GET", gate.event)).body;
      Object.assign(gate, { title: event.title, zone: event.venue.timezone, status: event.status });
      gate.keys = (await (await fetch("/.well-known/ticketing-keys.json")).json()).keys;
    }
    const since = gate.cursor || "1970-01-01T00:00:00Z";
    let cursor = "";
    for (let page = 1; ; page += 1) {
      const answer = await call("GET", `${gate.event}/tickets?records=${MOST}&page=${page}&modified_since=${encodeURIComponent(since)}`);
      if (answer.status === 401 || answer.status === 403) return closed();
      if (answer.status !== 200) break;
      cursor ||= answer.body.cursor;
      gate.opens = answer.body.opens;
      await store.keepTickets(answer.body.entries.map((one) => ({
        serial: one.serial,
        status: one.status,
        section: one.section.self,
        place: one.section.name,
        name: `${one.owner.firstName} ${one.owner.lastName}`.trim(),
        issued: Math.floor(Date.parse(one.issued) / 1000),
      })));
      if (page * MOST >= answer.body.total) break;
    }
    if (cursor) gate.cursor = cursor;
    await store.keepFact("gate", gate);
  } catch (error) {
    if (!(error instanceof Unheard)) throw error;
  }
  await showState();
}

function closed() {
  at("state").textContent = words.closed;
  at("state").className = "badge bad";
}

const waiting = async () => (await store.scans()).filter((one) => !one.done);

async function upload() {
  const scans = (await waiting()).sort((a, b) => a.at.localeCompare(b.at));
  for (let first = 0; first < scans.length; first += MOST) {
    const batch = scans.slice(first, first + MOST);
    const answer = await call("POST", `${gate.event}/scans`, {
      redeemer: gate.redeemer,
      device,
      scans: batch.map(({ text, at: moment, nonce }) => ({ serial: text, at: moment, nonce })),
    });
    if (answer.status !== 200) return;
    const results = new Map(answer.body.results.map((one) => [one.nonce, one]));
    await store.keepScans(batch.map((one) => ({ ...one, done: true, ...results.get(one.nonce) })));
  }
}

async function showState() {
  if (!gate) return;
  const all = await store.scans();
  const held = await store.tickets();
  const left = all.filter((one) => !one.done).length;
  const conflicts = all.filter((one) => one.verdict === "conflict");
  const inside = new Set(held.filter((one) => one.status === "Redeemed").map((one) => one.serial));
  for (const one of all) if (one.letIn && one.verdict !== "conflict") inside.add(one.serial);
  at("event").textContent = gate.title || "";
  at("count").textContent = inside.size;
  at("expected").textContent = ` / ${held.filter((one) => one.status === "Issued" || one.status === "Redeemed").length}`;
  at("state").textContent = (isOnline ? words.online : words.offline) + (left ? ` · ${left} ${words.waiting}` : "");
  at("state").className = isOnline ? "" : "badge warn";
  at("conflicts-open").hidden = conflicts.length === 0;
  at("conflict-count").textContent = conflicts.length;
  at("conflict-list").replaceChildren(...conflicts.map((one) => line(`${one.serial} · ${words[one.reason] || one.reason} · ${new Date(one.at).toLocaleTimeString()}`)));
}

function line(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}

// --- judging

async function scan(text) {
  if (isBusy || !at("verdict").hidden) return;
  isBusy = true;
  try {
    await judge(text);
  } finally {
    isBusy = false;
    await showState();
  }
}

async function judge(text) {
  const read = parse(text);
  if (!read) return show("bad", "unreadable", text.slice(0, 40));
  const known = await store.ticket(read.serial);
  const own = (await store.scans()).find((one) => one.serial === read.serial && one.letIn && one.verdict !== "conflict");
  const nonce = crypto.randomUUID();
  if (isOnline && !own) {
    show("busy", "checking", "");
    try {
      const body = { redeemer: gate.redeemer, device, serials: [read.text] };
      const answer = await call("POST", `${gate.event}/admissions`, body, { nonce, wait: ANSWER_MS });
      if (answer.status === 201) {
        const [admitted] = answer.body;
        await store.keepScan({ nonce, serial: read.serial, text: read.text, at: now().toISOString(), letIn: true, done: true, verdict: "admitted" });
        return show("good", "admitted", `${admitted.patron.firstName} ${admitted.patron.lastName}`.trim(), admitted.section.name);
      }
      const reason = Object.values(answer.body.details || {})[0];
      return show("bad", words[reason] ? reason : "unknown", known?.name || "", known?.place || "");
    } catch (error) {
      if (!(error instanceof Unheard)) throw error;
    }
    // The answer is lost: whether he is in, the server knows. The same scan, sent later, finds out; here it counts.
  }
  return judgeAlone(read, known, own, nonce);
}

async function judgeAlone(read, known, own, nonce) {
  const letIn = async (decided) => {
    await store.keepScan({ nonce, serial: read.serial, text: read.text, at: now().toISOString(), letIn: true, done: false, decided });
    show("good", "admitted", known?.name || "", known?.place || "");
  };
  const signed = read.key ? await isSigned(read, gate.keys) : null;
  if (signed === false) return show("bad", "forged", "");
  if (read.event && !gate.event.endsWith(`/${read.event}`)) return show("bad", "other event", "");
  if (own) return show("bad", "already admitted", known?.name || "", new Date(own.at).toLocaleTimeString());
  const isEarly = Boolean(gate.opens) && Date.parse(gate.opens) > now().getTime();
  if (!known) {
    if (!signed) return show("bad", "unknown", read.serial);
    if (isEarly) return show("bad", "doors closed", read.serial);
    return ask("new ticket", read.serial, () => letIn("steward"));
  }
  if (!gate.sections.includes(known.section)) return show("bad", "wrong section", known.name, known.place);
  if (known.status !== "Issued") {
    return show("bad", { Redeemed: "already admitted", Pending: "in transfer", Voided: "voided" }[known.status], known.name, known.place);
  }
  if (read.issue && known.issued && read.issue !== known.issued) return show("bad", "reissued", known.name);
  if (isEarly) return show("bad", "doors closed", known.name);
  return letIn("");
}

// --- verdicts

const MARKS = { good: "✓", bad: "✕", warn: "?", busy: "…" };
const TONES = { good: [880, 0.12], bad: [196, 0.5], warn: [440, 0.3] };
let sound = null;
let timer = 0;

function show(tone, word, who, why = "") {
  const verdict = at("verdict");
  clearTimeout(timer);
  verdict.className = tone;
  at("mark").textContent = MARKS[tone];
  at("word").textContent = words[word] || word;
  at("who").textContent = who;
  at("why").textContent = why;
  at("choice").hidden = tone !== "warn";
  at("again").textContent = tone === "busy" || tone === "warn" ? "" : words.again;
  verdict.dataset.word = word;
  verdict.hidden = false;
  if (tone === "busy") return;
  play(tone);
  navigator.vibrate?.(tone === "good" ? 80 : [200, 100, 200]);
  if (tone !== "warn") timer = setTimeout(hide, SHOWN_MS[tone]);
}

function ask(word, who, letIn) {
  show("warn", word, who);
  at("let-in").onclick = letIn;
  at("send-away").onclick = hide;
  at("let-in").focus();
}

function hide() {
  at("verdict").hidden = true;
  at("serial").focus();
}

function play(tone) {
  const [pitch, seconds] = TONES[tone];
  sound ??= new AudioContext();
  const note = sound.createOscillator();
  const volume = sound.createGain();
  note.frequency.value = pitch;
  volume.gain.value = 0.2;
  note.connect(volume).connect(sound.destination);
  note.start();
  note.stop(sound.currentTime + seconds);
}

at("verdict").addEventListener("click", (event) => {
  if (!event.target.closest("button") && !at("verdict").matches(".warn, .busy")) hide();
});
addEventListener("keydown", (event) => {
  if (!at("verdict").hidden && (event.key === "Escape" || event.key === "Enter") && !at("verdict").matches(".warn, .busy")) hide();
});

// --- typing, hand scanners, names

at("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("serial").value;
  at("serial").value = "";
  if (text.trim()) scan(text);
});

at("find-open").addEventListener("click", () => {
  at("name").value = "";
  at("found").replaceChildren();
  at("find").showModal();
  at("name").focus();
});
at("conflicts-open").addEventListener("click", () => at("conflicts").showModal());

const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

at("name").addEventListener("input", async () => {
  const wanted = fold(at("name").value).split(/\s+/).filter(Boolean);
  if (!wanted.length) return at("found").replaceChildren();
  const found = (await store.tickets()).filter((one) => one.name && wanted.every((part) => fold(one.name).includes(part))).slice(0, 30);
  at("found").replaceChildren(...(found.length ? found.map(person) : [line(words.nobody)]));
});

function person(one) {
  const made = document.createElement("li");
  made.className = "row apart";
  const said = document.createElement("span");
  said.textContent = `${one.name} · ${one.place} · ${one.serial}`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = one.status === "Issued" ? words["let in"] : words.used;
  button.disabled = one.status !== "Issued";
  button.addEventListener("click", () => {
    at("find").close();
    scan(one.serial);
  });
  made.append(said, button);
  return made;
}

// --- beginning

addEventListener("online", sync);
addEventListener("offline", () => setOnline(false));
navigator.serviceWorker?.register("/gate-worker.js", { scope: "/gate" }).catch(() => null);
navigator.storage?.persist?.();

gate = (await store.fact("gate")) || null;
if (gate) {
  open();
} else {
  at("enter").hidden = false;
  const takeCode = () => {
    const code = decodeURIComponent(location.hash.slice(1));
    if (code) at("code").value = code;
    at(code ? "redeemer" : "code").focus();
  };
  addEventListener("hashchange", takeCode);
  takeCode();
}
