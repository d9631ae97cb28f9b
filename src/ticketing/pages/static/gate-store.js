// What the gate keeps on its device: tickets, keys, and every scan until the server has it. IndexedDB, so that a reload,
// a dead battery or an update of the page lose nothing.
const NAME = "ticketing-gate";

const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open(NAME, 1);
  asked.onupgradeneeded = () => {
    asked.result.createObjectStore("tickets", { keyPath: "serial" });
    asked.result.createObjectStore("scans", { keyPath: "nonce" });
    asked.result.createObjectStore("facts");
  };
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

const run = async (store, mode, work) => {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(store, mode, { durability: "strict" });
    const asked = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(asked?.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
};

export const ticket = (serial) => run("tickets", "readonly", (store) => store.get(serial));
export const tickets = () => run("tickets", "readonly", (store) => store.getAll());
export const keepTickets = (found) => run("tickets", "readwrite", (store) => found.forEach((one) => store.put(one)));
export const scans = () => run("scans", "readonly", (store) => store.getAll());
export const keepScan = (scan) => run("scans", "readwrite", (store) => store.put(scan));
export const keepScans = (found) => run("scans", "readwrite", (store) => found.forEach((one) => store.put(one)));
export const fact = (name) => run("facts", "readonly", (store) => store.get(name));
export const keepFact = (name, value) => run("facts", "readwrite", (store) => store.put(value, name));

export async function forgetAll() {
  for (const store of ["tickets", "scans", "facts"]) await run(store, "readwrite", (one) => one.clear());
}
