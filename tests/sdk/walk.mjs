// Walks a running server with the published Node client, as its users would, and with plain HTTP where the client has no call.
//
//   TICKETING_URL             the server's address without /v3, for example http://localhost:8000
//   TICKETING_API_KEY         an integration key of any access level: the client needs one to start a session
//   TICKETING_ADMIN_USERNAME  an administrator: the walk starts a session with it and makes itself a public key
//   TICKETING_ADMIN_PASSWORD
//
//   npm ci && npm run walk
//
// One line per step; the first step that fails ends the walk with status 1. All that the walk makes bears a mark of this
// run in its name and is removed again on the way, so it can be repeated on the same server.
//
// A verification and a password reset are completed where the walk can read the server's mail:
//
//   TICKETING_MAIL_FOLDER     the folder into which the server writes it

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import client from "@ticketing/ticketing-nodejs-sdk";

const {
  TickeTing,
  BadDataError,
  InvalidStateError,
  PageAccessError,
  PermissionError,
  ResourceExistsError,
  ResourceImmutableError,
  ResourceIndelibleError,
  ResourceNotFoundError,
  UnauthorisedError,
  UnsupportedCriteriaError,
  UnsupportedOperationError,
  UnsupportedSortError,
} = client;

// What the client throws where it has no class of its own for a status; it does not export this one.
const UnclassifiedError = { name: "TickeTingError" };

const STEP_SECONDS = 30;
const REVOCATION_SECONDS = 3;
const CLIENT_VERSION = "3.1.3";

const RUN = Date.now().toString(36);
const PASSWORD = "WuT4NGcl4n";
const COUNTRY = "Antigua and Barbuda";
const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const NOTHING_THERE = "There is presently no resource with the given URI.";
const NO_ACCOUNT = "The requested account could not be located";
const NO_HOST = "The specified host could not be found.";
const NOT_HOST_ADMINISTRATOR = "This account is not an administrator for the relevant event host.";
const NO_SUCH_PAGE = "The specified page does not exist for the given records per page";
const NO_ADMISSION = "None of the provided ticket serials grants admission to this event";
const GLOBAL_TOKEN = "The global admission token cannot be modified or invalidated.";

const missing = (names) => `The following arguments are required, but have not been supplied: ${names}.`;
const invalid = (names) => `The following arguments have invalid values: ${names}.`;
const taken = (noun, names) => `The following arguments conflict with those of another ${noun}: ${names}.`;

// The client answers a lost connection with this instead of rejecting what it promised.
process.on("unhandledRejection", (reason) => fail("the server gave no answer in time", reason));

const server = new URL(setting("TICKETING_URL")).origin;
const apiKey = setting("TICKETING_API_KEY");
const administratorLogin = {
  identification: setting("TICKETING_ADMIN_USERNAME"),
  password: setting("TICKETING_ADMIN_PASSWORD"),
};

await walk();
console.log("The walk is complete.");

async function walk() {
  const admin = await administratorSession();
  const integration = await publicIntegration(admin);
  const open = () => new TickeTing({ apiKey: integration.key });

  const people = await registration(open);
  const crew = {
    admin,
    open,
    marvin: await signedIn(open, people.marvin),
    annie: await signedIn(open, people.annie),
  };

  await sessions(open, people);
  await mailedCodes(open, people);
  const catalogue = await catalogueKept(crew);
  await profiles(crew, people, catalogue);
  const host = await hosts(crew, people);
  const events = await eventsListed(crew, host, catalogue);
  await published(crew, host, catalogue, events);
  const tickets = await freeOrder(crew, people, catalogue, events);
  await gate(crew, people, events, tickets);
  await reports(crew, host, events);
  await removal(crew, people, host, catalogue, events);
  await endOfIntegration(admin, integration);
}

// ---------------------------------------------------------------- sessions

async function administratorSession() {
  const admin = new TickeTing({ apiKey });
  await step("an administrator starts a session", async () => {
    const key = await admin.session.start(administratorLogin);
    assert.match(key, /^[0-9a-f]{32}$/);
    assert.equal(admin.apiKey, key);
    const session = await admin.session.info();
    assert.match(session.started, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    assert.match(session.uri, /^\/[A-Za-z0-9\-/]+$/);
    assert.equal(session.key, key);
    assert.equal(session.account.role, "administrator");
  });
  return admin;
}

async function publicIntegration(admin) {
  return step("the administrator makes a public integration key", async () => {
    const form = { name: `Walk ${RUN}`, access: "public" };
    const integration = await sent(201, admin.apiKey, "POST", "/integrations", form);
    assert.match(integration.key, /^[0-9a-f]{32}$/);
    assert.equal(integration.access, "public");
    return integration;
  });
}

async function sessions(open, { marvin }) {
  const credentials = { identification: marvin.username, password: PASSWORD };

  await step("a wrong password starts no session", async () => {
    const attempt = open().session.start({ ...credentials, password: "not the password" });
    await refused(attempt, UnauthorisedError, 401, "A session cannot be started with the given password.");
  });

  await step("an unknown account starts no session", async () => {
    const attempt = open().session.start({ ...credentials, identification: `nobody${RUN}` });
    await refused(attempt, ResourceNotFoundError, 404, NO_ACCOUNT);
  });

  await step("a session starts by e-mail address, in any case", async () => {
    const visitor = open();
    await visitor.session.start({ identification: marvin.email.toUpperCase(), password: PASSWORD });
    assert.equal((await visitor.session.info()).account.number, marvin.number);
    assert.equal(await visitor.session.end(), true);
  });

  const first = open();
  const second = open();

  await step("a session is resumed elsewhere with its key", async () => {
    const key = await first.session.start(credentials);
    assert.equal(await second.session.resume(key), true);
    const session = await second.session.info();
    assert.equal(session.key, key);
    assert.equal(session.account.username, marvin.username);
    await refused(first.session.start(credentials), UnsupportedOperationError, 0, "There is already an active session");
  });

  await step("a session ends once, for everybody", async () => {
    const key = first.apiKey;
    assert.equal(await first.session.end(), true);
    assert.equal(first.session.active, false);
    assert.notEqual(first.apiKey, key);
    await refused(second.session.end(), InvalidStateError, 403, "The session has already been ended.");
    await refused(open().session.resume(key), InvalidStateError, 401, "The session has ended or does not exist.");
  });

  await step("neither an unknown key nor an integration key is a session", async () => {
    const unknown = "0".repeat(32);
    await refused(open().session.resume(unknown), InvalidStateError, 401, "The session has ended or does not exist.");
    await refused(open().session.resume(open().apiKey), InvalidStateError, 401, "The session has ended or does not exist.");
    await sent(401, unknown, "DELETE", "/sessions/active");
  });

  await step("a missing key is not authenticated, an unknown one is restricted", async () => {
    await refused(new TickeTing({ apiKey: "" }).regions.list(), UnauthorisedError, 401);
    await refused(new TickeTing({ apiKey: "0".repeat(32) }).regions.list(), UnclassifiedError, 403);
  });
}

// ---------------------------------------------------------------- accounts

async function registration(open) {
  const visitor = open();
  const profile = {
    firstName: "Marvin",
    lastName: "Milk",
    title: "Mr",
    dateOfBirth: "1974-09-14",
    phone: "+1 (268) 555 0123",
    country: COUNTRY,
    firstAddressLine: "Jennings New Extension",
    secondAddressLine: "",
    city: "Jennings",
    state: "Saint Mary's",
  };

  const marvin = await step("Marvin registers with a full profile", async () => {
    const account = await visitor.accounts.create({ ...login("marvin"), ...profile });
    assert.match(account.number, /^MA-[0-9A-Z]{8}$/);
    assert.equal(account.uri, `/accounts/${account.number}`);
    assertHas(account, { ...profile, role: "customer", verified: false, activated: true });
    return account;
  });

  const annie = await step("Annie registers with the bare minimum", async () => {
    const account = await visitor.accounts.create(login("annie"));
    assertHas(account, { firstName: "", lastName: "", title: "", dateOfBirth: "", phone: "", country: "" });
    return account;
  });

  await step("registration says what is missing", async () => {
    const { email, ...withoutAddress } = login("frenchie");
    await refused(visitor.accounts.create({}), BadDataError, 400, missing("username, password"));
    await refused(visitor.accounts.create(withoutAddress), BadDataError, 400, missing("email"));
  });

  await step("a username and an address belong to one account", async () => {
    const other = login("frenchie");
    const sameName = { ...other, username: marvin.username };
    const sameAddress = { ...other, email: marvin.email };
    await refused(visitor.accounts.create(sameName), ResourceExistsError, 409, taken("user", "username"));
    await refused(visitor.accounts.create(sameAddress), ResourceExistsError, 409, taken("user", "email"));
  });

  await step("a look-up finds accounts by name, address and role", async () => {
    const identification = marvin.username;
    const plain = await visitor.accounts.lookup({ identification });
    assertHas(plain, { identification, role: "", found: true });
    const customer = await visitor.accounts.lookup({ identification: marvin.email, role: "customer" });
    assertHas(customer, { role: "customer", found: true });
    assert.equal((await visitor.accounts.lookup({ identification, role: "administrator" })).found, false);
    assert.equal((await visitor.accounts.lookup({ identification: `nobody${RUN}` })).found, false);
    await refused(visitor.accounts.lookup({}), BadDataError, 400, missing("identification"));
  });

  return { marvin, annie };
}

async function mailedCodes(open, { marvin }) {
  const { accounts } = open();
  const stranger = `nobody.${RUN}@example.com`;

  await step("a verification is requested, a wrong code refused", async () => {
    const noAddress = "You must provide an email address to which to send the verification code.";
    await refused(accounts.verify(""), BadDataError, 400, noAddress);
    await refused(accounts.verify(stranger), ResourceNotFoundError, 404, NO_ACCOUNT);
    const verification = await accounts.verify(marvin.email);
    assertHas(verification, { email: marvin.email, status: "Pending" });
    await refused(verification.confirm({}), BadDataError, 400, missing("code"));
    await refused(verification.confirm({ code: "12345" }), BadDataError, 400, invalid("code"));
    const wrong = "The provided account verification code is incorrect.";
    await refused(verification.confirm({ code: "000000" }), BadDataError, 400, wrong);
  });

  await step("a password reset is requested, a wrong code refused", async () => {
    const noAddress = "You must provide an email address to which to send the reset code.";
    await refused(accounts.reset(""), BadDataError, 400, noAddress);
    await refused(accounts.reset(stranger), ResourceNotFoundError, 404, NO_ACCOUNT);
    const reset = await accounts.reset(marvin.email);
    assertHas(reset, { email: marvin.email, status: "Pending" });
    await refused(reset.confirm({}), BadDataError, 400, missing("code, password"));
    const wrong = "The provided password reset code is incorrect.";
    await refused(reset.confirm({ code: "000000", password: PASSWORD }), BadDataError, 400, wrong);
  });

  if (process.env.TICKETING_MAIL_FOLDER) {
    await completed(open);
  }
}

async function completed(open) {
  const visitor = open();
  const trillian = login("trillian");
  await visitor.accounts.create(trillian);

  await step("the mailed code verifies an account, once", async () => {
    const verification = await visitor.accounts.verify(trillian.email);
    const code = await mailedCode(trillian.email, "to confirm this address");
    assert.equal(await verification.confirm({ code }), true);
    const closed = "The verification has already been completed or has expired.";
    await refused(verification.confirm({ code }), UnclassifiedError, 409, closed);
    const person = await signedIn(open, trillian);
    assert.equal((await person.session.info()).account.verified, true);
  });

  await step("the mailed code changes the password and ends every session", async () => {
    const person = await signedIn(open, trillian);
    const reset = await visitor.accounts.reset(trillian.email);
    const code = await mailedCode(trillian.email, "for a new password");
    assert.equal(await reset.confirm({ code: Number(code), password: `new ${PASSWORD}` }), true);
    await refused(person.accounts.find("XX-00000000"), PermissionError, 403);
    await refused(signedIn(open, trillian), UnauthorisedError, 401);
    const again = open();
    await again.session.start({ identification: trillian.email, password: `new ${PASSWORD}` });
    const { number } = (await again.session.info()).account;
    assert.equal(await (await again.accounts.find(number)).delete(), true);
  });
}

/** The code in the mail to an address whose subject ends like this, as soon as it was written. */
async function mailedCode(address, subject) {
  const folder = process.env.TICKETING_MAIL_FOLDER;
  for (let tries = 0; tries < 100; tries += 1) {
    for (const name of await readdir(folder).catch(() => [])) {
      const mail = name.endsWith(".eml") ? await readFile(join(folder, name), "utf8") : "";
      const code = /^ {4}(\d{6})\r?$/m.exec(mail);
      if (code && mail.includes(`To: ${address}`) && mail.includes(subject)) {
        return code[1];
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`no code was mailed to ${address}`);
}

async function profiles({ admin, marvin, annie }, people, { region }) {
  await step("an account is its owner's and the administrator's", async () => {
    const { number, username } = people.marvin;
    assert.equal((await marvin.accounts.find(number)).username, username);
    assert.equal((await admin.accounts.find(number)).username, username);
    const notYours = "You are not authorised to access or modify this account.";
    await refused(annie.accounts.find(number), PermissionError, 403, notYours);
    await refused(admin.accounts.find("XX-00000000"), ResourceNotFoundError, 404, NO_ACCOUNT);
  });

  await step("the administrator lists accounts by number, address and name", async () => {
    for (const filter of ["number", "email", "username"]) {
      const found = await admin.accounts.list().filter({ [filter]: people.annie[filter] });
      assert.deepEqual(numbersOf(found), [people.annie.number], filter);
    }
    await refused(annie.accounts.list(), UnclassifiedError, 403);
  });

  await step("Annie completes her profile", async () => {
    const account = await annie.accounts.find(people.annie.number);
    Object.assign(account, { firstName: "Annie", lastName: "January", title: "Ms", country: COUNTRY });
    assert.equal(await account.save(), true);
    const saved = await annie.accounts.find(account.number);
    assertHas(saved, { firstName: "Annie", lastName: "January", title: "Ms", country: COUNTRY, email: account.email });
  });

  await step("an unknown title and a taken name are refused", async () => {
    const account = await annie.accounts.find(people.annie.number);
    account.title = "Dr.";
    await refused(account.save(), BadDataError, 400, invalid("title"));
    account.title = "";
    account.username = people.marvin.username;
    await refused(account.save(), ResourceExistsError, 409, taken("user", "username"));
  });

  await step("Annie prefers a region", async () => {
    const account = await annie.accounts.find(people.annie.number);
    const preferences = await account.preferences;
    assert.equal(preferences.region, null);
    await refused(preferences.save(), BadDataError, 400, missing("region"));
    preferences.region = region;
    assert.equal(await preferences.save(), true);
    assert.equal((await account.preferences).region.id, region.id);
  });
}

// ---------------------------------------------------------------- catalogue

async function catalogueKept(crew) {
  const region = await regions(crew);
  const venue = await venues(crew, region);
  const category = await categories(crew);
  return { region, venue, category };
}

async function regions({ admin, open, marvin }) {
  const form = { name: `Walk Region ${RUN}`, country: COUNTRY, district: "Saint Paul", city: "English Harbour" };

  await step("the countries are listed", async () => {
    assert.ok((await open().presets.countries()).includes(COUNTRY));
  });

  const region = await step("a region is created, with its icon", async () => {
    const created = await admin.regions.create(form);
    assertHas(created, form);
    assertHas(await open().regions.find(created.id), form);
    assert.match(created.icon, /\/media\/antigua_and_barbuda\.png$/);
    await assertImage(created.icon);
    return created;
  });

  await step("a region needs a name of its own and a country", async () => {
    await refused(admin.regions.create({}), BadDataError, 400, missing("name, country"));
    await refused(admin.regions.create(form), ResourceExistsError, 409, taken("region", "name"));
    await refused(marvin.regions.create({ ...form, name: `${form.name} II` }), UnclassifiedError, 403);
    await refused(open().regions.find(1), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  await step("a region is edited and deleted", async () => {
    const other = await admin.regions.create({ name: `Walk Other Region ${RUN}`, country: COUNTRY });
    other.city = "Codrington";
    assert.equal(await other.save(), true);
    assertHas(await admin.regions.find(other.id), { city: "Codrington", district: other.district });
    other.name = region.name;
    await refused(other.save(), ResourceExistsError, 409, taken("region", "name"));
    assert.equal(await other.delete(), true);
    await refused(admin.regions.find(other.id), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  await step("a region without events is not active", async () => {
    const active = await everything(open().regions.list(100).filter({ active: true }));
    assert.ok(!idsOf(active).includes(region.id));
    const all = await everything(open().regions.list(100));
    assert.ok(idsOf(all).includes(region.id));
  });

  await step("lists refuse what they do not know", async () => {
    await refused(
      open().regions.list().filter({ colour: "blue" }),
      UnsupportedCriteriaError,
      400,
      "The collection does not support the following filters: colour.",
    );
    await refused(open().regions.list().sort("name"), UnsupportedSortError, 400, "The collection cannot be sorted by name.");
    // The client refuses the two above by itself; the server has to say the same to everybody else.
    const filtered = await sent(400, open().apiKey, "GET", "/regions?colour=blue");
    assert.equal(filtered.error, "The collection does not support the following filters: colour.");
    const sorted = await sent(400, open().apiKey, "GET", "/regions?sort=name");
    assert.equal(sorted.error, "The collection cannot be sorted by name.");
  });

  return region;
}

async function venues({ admin, open }, region) {
  const names = ["Vought Tower", "Flatiron", "Sapphire Lounge"].map((name) => `${name} ${RUN}`);
  const place = { longitude: -61.77331, latitude: 17.00825, address: "Dockyard Drive, English Harbour" };

  const [tower, flatiron, lounge] = await step("three venues are created in the region", async () => {
    const created = [];
    for (const name of names) {
      created.push(await admin.venues.create({ name, region, ...place }));
    }
    assertHas(created[0], { name: names[0], ...place });
    assert.equal(created[0].region.id, region.id);
    assert.match(created[0].map, /center=17\.00825,-61\.77331&/);
    return created;
  });

  await step("a venue needs all of its members and a name of its own", async () => {
    await refused(admin.venues.create({ region }), BadDataError, 400, missing("name, address, longitude, latitude"));
    const sameName = { name: names[0], region, ...place };
    await refused(admin.venues.create(sameName), ResourceExistsError, 409, taken("venue", "name"));
    await refused(open().venues.find(1), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  await step("venues are filtered by name and region", async () => {
    assert.deepEqual(idsOf(await open().venues.list().filter({ name: names[1] })), [flatiron.id]);
    assert.deepEqual(idsOf(await open().venues.list().filter({ region: Number(region.id) })), idsOf([tower, flatiron, lounge]));
    const none = open().venues.list().filter({ name: `Nowhere ${RUN}` });
    assert.deepEqual(await none, []);
    assert.equal(await none.pages, 0);
  });

  await step("venues are paged through, oldest first", async () => {
    const pages = open().venues.list(2).filter({ region: region.id });
    assert.deepEqual(idsOf(await pages), [tower.id, flatiron.id]);
    assert.equal(await pages.pages, 2);
    assert.equal(await pages.hasNext(), true);
    assert.equal(await pages.hasPrevious(), false);
    const last = pages.next();
    assert.deepEqual(idsOf(await last), [lounge.id]);
    assert.equal(await last.hasNext(), false);
    assert.deepEqual(idsOf(await last.previous()), [tower.id, flatiron.id]);
    assert.deepEqual(idsOf(await pages.goto(2)), [lounge.id]);
  });

  await step("there is no page beyond the last and none before the first", async () => {
    const pages = () => open().venues.list(2).filter({ region: region.id });
    await refused(pages().goto(3), PageAccessError, 404, NO_SUCH_PAGE);
    const beforeFirst = "Please specify a positive integer page number";
    await refused(pages().first().previous(), PageAccessError, 404, beforeFirst);
    // The client refuses page 0 by itself; the server has to say the same to everybody else.
    const page = await sent(404, open().apiKey, "GET", "/venues?page=0");
    assert.equal(page.error, beforeFirst);
  });

  await step("a venue is edited and deleted", async () => {
    lounge.address = "#1 High St., St. John's";
    assert.equal(await lounge.save(), true);
    assertHas(await open().venues.find(lounge.id), { address: lounge.address, longitude: place.longitude });
    lounge.name = tower.name;
    await refused(lounge.save(), ResourceExistsError, 409, taken("venue", "name"));
    assert.equal(await lounge.delete(), true);
    assert.equal(await flatiron.delete(), true);
    await refused(open().venues.find(lounge.id), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  await step("a region with venues stays", async () => {
    await refused(region.delete(), ResourceIndelibleError, 409, "A region cannot be deleted if it has venues attached");
  });

  return tower;
}

async function categories({ admin, open }) {
  const form = { name: `Fete ${RUN}`, subcategories: ["Premier", "All Inclusive", "Cooler"] };

  const category = await step("a category is created, its subcategories in order", async () => {
    const created = await admin.categories.create(form);
    assertHas(created, form);
    assertHas(await open().categories.find(created.id), form);
    assert.ok(idsOf(await everything(open().categories.list(100))).includes(created.id));
    return created;
  });

  await step("a category needs a name of its own", async () => {
    await refused(admin.categories.create({}), BadDataError, 400, missing("name"));
    await refused(admin.categories.create(form), ResourceExistsError, 409, taken("category", "name"));
    await refused(open().categories.find(1), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  await step("a category is edited and deleted", async () => {
    const other = await admin.categories.create({ name: `Theatre ${RUN}` });
    assert.deepEqual(other.subcategories, []);
    other.subcategories = ["Comedy"];
    assert.equal(await other.save(), true);
    assert.deepEqual((await open().categories.find(other.id)).subcategories, ["Comedy"]);
    other.name = category.name;
    await refused(other.save(), ResourceExistsError, 409, taken("category", "name"));
    assert.equal(await other.delete(), true);
    await refused(open().categories.find(other.id), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  return category;
}

// ---------------------------------------------------------------- hosts

async function hosts({ open, marvin, annie, admin }, people) {
  const form = {
    name: `The Boys Entertainment ${RUN}`,
    contact: "Billy Butcher",
    email: "billy.butcher@example.com",
    description: "Premier events for supes of all ages",
    phone: "+1 (268) 555 8075",
    website: "https://theboys.example.com",
    country: COUNTRY,
    firstAddressLine: "Wireless Road",
    secondAddressLine: "Clare Hall",
    city: "St. John's",
    state: "Saint John",
    businessNo: "A5585291",
  };

  const host = await step("Marvin becomes a host", async () => {
    const created = await marvin.hosts.create(form);
    assertHas(created, form);
    assertHas(await open().hosts.find(created.id), form);
    assert.ok(idsOf(await everything(open().hosts.list(100))).includes(created.id));
    return created;
  });

  await step("a host needs a name of its own, a contact and an address", async () => {
    await refused(marvin.hosts.create({}), BadDataError, 400, missing("name, contact, email"));
    await refused(marvin.hosts.create(form), ResourceExistsError, 409, taken("host", "name"));
    await refused(open().hosts.find(1), ResourceNotFoundError, 404, NO_HOST);
  });

  await step("a host is edited by its administrators alone", async () => {
    host.contact = "Marvin Milk";
    assert.equal(await host.save(), true);
    assertHas(await open().hosts.find(host.id), { contact: "Marvin Milk", businessNo: form.businessNo });
    const seen = await annie.hosts.find(host.id);
    await refused(seen.save(), UnclassifiedError, 403, NOT_HOST_ADMINISTRATOR);
    await refused(seen.delete(), UnclassifiedError, 403, NOT_HOST_ADMINISTRATOR);
  });

  await step("a taken name is refused before an empty address is", async () => {
    const other = await marvin.hosts.create({ ...form, name: `Vought ${RUN}` });
    Object.assign(other, { name: form.name, email: "" });
    await refused(other.save(), ResourceExistsError, 409, taken("host", "name"));
    other.name = `Vought ${RUN}`;
    await refused(other.save(), BadDataError, 400, missing("email"));
    assert.equal(await other.delete(), true);
  });

  await step("Marvin manages the host, Annie none", async () => {
    const account = await marvin.accounts.find(people.marvin.number);
    assert.deepEqual(idsOf(await account.hosts), [host.id]);
    assert.deepEqual(await (await annie.accounts.find(people.annie.number)).hosts, []);
    assert.deepEqual(idsOf(await (await admin.accounts.find(people.marvin.number)).hosts), [host.id]);
  });

  await step("a new host has nothing to report", async () => {
    assert.deepEqual(await host.events, []);
  });

  await step("a new host has counted nothing", async () => {
    assertHas(await host.statistics(), { events: 0, orders: 0, revenue: 0, tickets: 0 });
  });

  return host;
}

// ---------------------------------------------------------------- events

async function eventsListed(crew, host, catalogue) {
  const premier = await draft(crew, host, catalogue);
  await draftRefusals(crew, host, catalogue, premier);
  await sectionsAdded(crew, premier);
  await edited(crew, catalogue, premier);
  await submitted(crew, premier);
  const afterparty = await step("a second, earlier event is listed", () => afterpartyListed(crew, host, catalogue));
  return { premier, afterparty };
}

async function draft({ marvin, open }, host, { category, venue }) {
  return step("Marvin registers an event", async () => {
    const form = premierForm();
    const event = await marvin.events.create({ ...form, host, category, venue });
    assertHas(event, { ...form, status: "Draft", popularity: 0, sections: [] });
    assert.equal(event.category.name, category.name);
    assert.equal(event.venue.name, venue.name);
    assert.equal(event.venue.region.name, `Walk Region ${RUN}`);
    await assertImage(event.banner);
    await assertImage(event.thumbnail);
    const unlisted = "You are not authorised to access this unlisted event.";
    await refused(open().events.find(event.id), PermissionError, 403, unlisted);
    await refused(open().events.find(1), ResourceNotFoundError, 404, NOTHING_THERE);
    return event;
  });
}

async function draftRefusals({ marvin, annie }, host, { category, venue }, premier) {
  const whole = { ...premierForm(), title: `Another ${RUN}`, host, category, venue };

  await step("registration says what is missing or wrong", async () => {
    const bare = { host, category, venue };
    const names = missing("type, title, description, subcategory, public");
    await refused(marvin.events.create(bare), BadDataError, 400, names);
    const wrong = { ...whole, type: "Party", subcategory: "Opera", end: "2034-06-07T19:00" };
    await refused(marvin.events.create(wrong), BadDataError, 400, invalid("type, subcategory, end"));
  });

  await step("a title belongs to one event", async () => {
    const same = { ...whole, title: premier.title };
    await refused(marvin.events.create(same), ResourceExistsError, 409, taken("event", "title"));
  });

  await step("a stranger registers nothing for the host", async () => {
    await refused(annie.events.create(whole), PermissionError, 403, NOT_HOST_ADMINISTRATOR);
  });

  await step("a removed host registers nothing", async () => {
    const gone = await marvin.hosts.create({ name: `Gone ${RUN}`, contact: "Nobody", email: "nobody@example.com" });
    assert.equal(await gone.delete(), true);
    await refused(marvin.hosts.find(gone.id), ResourceNotFoundError, 404, NO_HOST);
    await refused(marvin.events.create({ ...whole, host: gone }), UnclassifiedError, 404, NO_HOST);
  });
}

async function sectionsAdded({ marvin }, premier) {
  await step("the event gets a free section and a paid one", async () => {
    const added = await addSection(marvin, premier, { name: "Backstage", basePrice: 0, capacity: 10 });
    assert.match(added.self, /^\/sections\/[A-Za-z0-9-]+$/);
    await addSection(marvin, premier, { name: "VIP", basePrice: 75, capacity: 5 });

    const [backstage, vip] = (await marvin.events.find(premier.id)).sections;
    assert.equal(backstage.uri, `${premier.uri}${added.self}`);
    const untouched = { sold: 0, reserved: 0, active: true };
    assertHas(backstage, { name: "Backstage", capacity: 10, remaining: 10, ...untouched });
    assertHas(backstage.price, { base: 0, current: 0, expires: "" });
    assertHas(vip, { name: "VIP", capacity: 5, remaining: 5, ...untouched });
    assertHas(vip.price, { base: 75, current: 75, expires: "" });
  });

  await step("a section is edited", async () => {
    const vip = (await marvin.events.find(premier.id)).sections[1];
    vip.capacity = 6;
    vip.price.base = 0;
    assert.equal(await vip.save(), true);
    const saved = (await marvin.events.find(premier.id)).sections[1];
    assertHas(saved, { name: "VIP", description: vip.description, capacity: 6, remaining: 6, salesEnd: vip.salesEnd });
    assertHas(saved.price, { base: 0, current: 0 });
  });
}

async function edited({ marvin }, { category, venue }, premier) {
  await step("the event is edited, with pictures", async () => {
    const event = await marvin.events.find(premier.id);
    Object.assign(event, { description: "World premier", disclaimer: "", tags: ["homelander"], banner: PIXEL, thumbnail: PIXEL });
    assert.equal(await event.save(), true);
    const saved = await marvin.events.find(premier.id);
    assertHas(saved, { title: event.title, description: "World premier", disclaimer: "", tags: ["homelander"] });
    assertHas(saved, { start: event.start, end: event.end, public: true, subcategory: "Premier" });
    assert.equal(saved.category.id, category.id);
    assert.equal(saved.venue.id, venue.id);
    await assertImage(saved.banner);
    await assertImage(saved.thumbnail);
  });

  await step("an edit can be refused", async () => {
    const event = await marvin.events.find(premier.id);
    event.banner = "data:image/png;base64,bm90IGFuIGltYWdl";
    await refused(event.save(), BadDataError, 400, invalid("banner"));
  });
}

async function submitted(crew, premier) {
  const { admin, open, marvin } = crew;

  await step("the event is submitted once", async () => {
    assert.equal(await premier.submit(), true);
    assert.equal((await marvin.events.find(premier.id)).status, "Submitted");
    await refused(premier.submit(), InvalidStateError, 409, "The event has already been submitted or cancelled.");
  });

  await step("the administrator approves the submission", async () => {
    const path = `/submissions/${btoa(premier.uri)}`;
    const submission = await sent(200, admin.apiKey, "GET", path);
    assertHas(submission, {
      self: path,
      type: "event",
      resource: premier.uri,
      note: `New Event Submission: ${premier.title}`,
      status: "Pending",
    });
    const waiting = await sent(200, admin.apiKey, "GET", "/submissions?type=event&records=500");
    assert.ok(waiting.entries.some((entry) => entry.self === path));
    await sent(200, admin.apiKey, "DELETE", `${path}?approved=true`);
    assertHas(await open().events.find(premier.id), { status: "Listed", title: premier.title });
  });
}

async function afterpartyListed(crew, host, { category, venue }) {
  const { marvin, admin } = crew;
  const form = { ...premierForm(), title: `afterparty ${RUN}`, start: "2033-06-07T20:00", end: "2033-06-07T23:00" };
  const event = await marvin.events.create({ ...form, host, category, venue });
  await addSection(marvin, event, { name: "Floor", basePrice: 20, capacity: 100 });
  assert.equal(await event.submit(), true);
  await sent(200, admin.apiKey, "DELETE", `/submissions/${btoa(event.uri)}?approved=true`);
  return marvin.events.find(event.id);
}

async function published({ open, admin, marvin }, host, { region }, { premier, afterparty }) {
  const listed = () => open().events.published.list().filter({ region: region.id });

  await step("published events are filtered by region and title", async () => {
    assert.deepEqual(idsOf(await listed()), idsOf([premier, afterparty]));
    const byTitle = open().events.published.list().filter({ region: region.id, title: premier.title });
    assert.deepEqual(idsOf(await byTitle), [premier.id]);
    const byHost = open().events.published.list().filter({ host: host.id });
    await refused(byHost, UnsupportedCriteriaError, 400, "The collection does not support the following filters: host.");
  });

  await step("published events are sorted and paged", async () => {
    assert.deepEqual(idsOf(await listed().sort("alphabetical")), idsOf([afterparty, premier]));
    assert.deepEqual(idsOf(await listed().sort("alphabetical", false)), idsOf([premier, afterparty]));
    assert.deepEqual(idsOf(await listed().sort("start")), idsOf([afterparty, premier]));
    assert.deepEqual(idsOf(await listed().sort("start", false)), idsOf([premier, afterparty]));
    assert.deepEqual(idsOf(await listed().sort("published")), idsOf([premier, afterparty]));
    const pages = open().events.published.list(1).filter({ region: region.id }).sort("start");
    assert.deepEqual(idsOf(await pages), [afterparty.id]);
    assert.deepEqual(idsOf(await pages.next()), [premier.id]);
  });

  await step("the region is active now", async () => {
    assert.ok(idsOf(await everything(open().regions.list(100).filter({ active: true }))).includes(region.id));
  });

  await step("an event that is not public is found by its link alone", async () => {
    afterparty.public = false;
    assert.equal(await afterparty.save(), true);
    assert.deepEqual(idsOf(await listed()), [premier.id]);
    assert.equal((await open().events.find(afterparty.id)).public, false);
  });

  await step("the administrator filters all events", async () => {
    const { sections } = await open().events.find(premier.id);
    const ofHost = (criteria) => admin.events.list().filter({ host: host.id, ...criteria });
    assert.deepEqual(idsOf(await ofHost({ status: "Listed" })), idsOf([premier, afterparty]));
    assert.deepEqual(idsOf(await ofHost({ status: "Scheduled", active: true })), idsOf([premier, afterparty]));
    assert.deepEqual(idsOf(await ofHost({ public: false })), [afterparty.id]);
    assert.deepEqual(idsOf(await ofHost({ title: premier.title, region: region.id })), [premier.id]);
    assert.deepEqual(idsOf(await ofHost({ section: sections[0].id })), [premier.id]);
    assert.deepEqual(await ofHost({ active: false }), []);
    await refused(marvin.events.list(), UnclassifiedError, 403);
  });

  await step("Marvin lists his events, sorted", async () => {
    const managed = await marvin.hosts.find(host.id);
    assert.deepEqual(idsOf(await managed.events.sort("start")), idsOf([afterparty, premier]));
    assert.deepEqual(idsOf(await managed.events.filter({ public: true })), [premier.id]);
    assert.deepEqual(await managed.events.filter({ status: "Draft" }), []);
    await refused((await open().hosts.find(host.id)).events, UnclassifiedError, 403);
  });

  await step("what stages or classifies an event stays", async () => {
    const { venue, category } = await admin.events.find(premier.id);
    await refused(venue.delete(), ResourceIndelibleError, 409, "A venue cannot be deleted if it is staging an event");
    await refused(category.delete(), ResourceIndelibleError, 409, "You cannot delete in-use event categories.");
  });
}

// ---------------------------------------------------------------- orders, tickets

async function freeOrder({ marvin, annie, open }, people, { region }, { premier, afterparty }) {
  const [backstage, vip] = (await open().events.find(premier.id)).sections;
  const wallet = `/accounts/${people.annie.number}/tickets`;

  await step("Annie orders free tickets", async () => {
    const items = { [backstage.uri]: 2, [vip.uri]: 1 };
    const order = await sent(201, annie.apiKey, "POST", "/orders", { customer: people.annie.number, items });
    assertHas(order, { status: "Fulfilled", subtotal: 0, fees: 0, total: 0 });
    assert.match(order.number, /^[0-9A-F]{12}$/);
    assert.equal(order.customer.number, people.annie.number);
    const names = order.items.map((item) => `${item.quantity} ${item.name}`).sort();
    assert.deepEqual(names, [`1 ${premier.title}: VIP`, `2 ${premier.title}: Backstage`]);
    assert.equal((await sent(200, annie.apiKey, "GET", order.self)).number, order.number);
  });

  const tickets = await step("the tickets are in her wallet", async () => {
    const { entries, total } = await sent(200, annie.apiKey, "GET", wallet);
    assert.equal(total, 3);
    for (const ticket of entries) {
      assertHas(ticket, { status: "Issued", redeemed: "N/A" });
      assert.match(ticket.serial, /^[0-9A-Z]{6}-[0-9A-Z]{12}$/);
      assert.match(ticket.issued, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
      assert.equal(ticket.owner.number, people.annie.number);
    }
    const uris = entries.map((ticket) => ticket.section.self).sort();
    assert.deepEqual(uris, [backstage.uri, backstage.uri, vip.uri].sort());
    return entries;
  });

  await step("the sections have fewer places left", async () => {
    const sections = (await open().events.find(premier.id)).sections;
    assertHas(sections[0], { sold: 2, remaining: 8, reserved: 0 });
    assertHas(sections[1], { sold: 1, remaining: 5, reserved: 0 });
  });

  await step("the event that sells is the popular one", async () => {
    const event = await open().events.find(premier.id);
    assert.ok(event.popularity > afterparty.popularity);
    const popular = await open().events.published.list().filter({ region: region.id }).sort("popularity", false);
    assert.deepEqual(idsOf(popular), [premier.id]);
  });

  await step("sold tickets keep their holder and the event", async () => {
    const holder = await annie.accounts.find(people.annie.number);
    const holds = "An account cannot be deleted while it holds tickets to upcoming events.";
    await refused(holder.delete(), ResourceIndelibleError, 409, holds);
    const event = await marvin.events.find(premier.id);
    const sold = "An event cannot be deleted while it has sections with sold tickets.";
    await refused(event.delete(), ResourceIndelibleError, 409, sold);
  });

  return tickets;
}

// ---------------------------------------------------------------- gate

async function gate(crew, people, { premier }, tickets) {
  const { open, marvin } = crew;
  const event = await marvin.events.find(premier.id);
  const [backstage, vip] = event.sections;
  const ofSection = (section) => tickets.filter((ticket) => ticket.section.self === section.uri).map(({ serial }) => serial);
  const serials = { backstage: ofSection(backstage), vip: ofSection(vip) };

  const doorToken = await tokens(crew, event);
  const door = await admissionStarted(open, doorToken, event);
  await admissions({ open, door, event }, people, serials);
  await admissionEnded({ open, event }, doorToken, door);
}

async function tokens({ annie }, event) {
  const [backstage, vip] = event.sections;

  await step("an event has a global token over all its sections", async () => {
    const all = await event.tokens;
    assert.equal(all.length, 1);
    assert.equal(all[0].global, true);
    assert.deepEqual(idsOf(all[0].sections), idsOf([backstage, vip]));
    assert.match(all[0].code, /^[0-9A-Z]{8}$/);
    await refused(all[0].save(), ResourceImmutableError, 409, GLOBAL_TOKEN);
    await refused(all[0].delete(), ResourceIndelibleError, 409, GLOBAL_TOKEN);
  });

  const token = await step("Marvin issues a token for the back stage", async () => {
    const issued = await event.issue_token([backstage]);
    assert.match(issued.code, /^[0-9A-Z]{8}$/);
    assert.equal(issued.global, false);
    assert.deepEqual(idsOf(issued.sections), [backstage.id]);
    await refused(event.issue_token([]), BadDataError, 400, missing("sections"));
    const foreign = { uri: `${event.uri}/sections/1` };
    await refused(event.issue_token([foreign]), BadDataError, 400, invalid("sections"));
    const seen = await annie.events.find(event.id);
    await refused(seen.issue_token(seen.sections), PermissionError, 403, NOT_HOST_ADMINISTRATOR);
    return issued;
  });

  await step("tokens are listed, the global one first", async () => {
    assert.deepEqual((await event.tokens).map(({ global }) => global), [true, false]);
    assert.deepEqual(idsOf(await event.tokens.filter({ global: false })), [token.id]);
    assert.equal((await event.tokens.filter({ global: true })).length, 1);
  });

  await step("a token's sections are changed", async () => {
    token.allow(vip);
    assert.equal(await token.save(), true);
    token.deny(vip);
    assert.equal(await token.save(), true);
    token.deny(backstage);
    await refused(token.save(), BadDataError, 400, missing("sections"));
    assert.deepEqual(idsOf(token.sections), [backstage.id]);
    const [saved] = await event.tokens.filter({ global: false });
    assert.deepEqual(idsOf(saved.sections), [backstage.id]);
  });

  return token;
}

async function admissionStarted(open, token, event) {
  return step("the door is opened with the token's code", async () => {
    const unknown = "The provided code does not belong to any event token";
    await refused(open().session.admission("00000000", "Billy Butcher", "Phone"), UnauthorisedError, 404, unknown);
    const door = await open().session.admission(token.code, "Billy Butcher", "Google Pixel 6 Pro");
    assert.equal(door.event.title, event.title);
    assert.deepEqual(idsOf(door.sections), [event.sections[0].id]);
    return door;
  });
}

async function admissions({ open, door, event }, people, serials) {
  const [backstage] = event.sections;
  const [first, second] = serials.backstage;

  await step("the door sees the valid tickets of its section", async () => {
    const valid = await door.tickets(25);
    assert.deepEqual(valid.map(({ serial }) => serial).sort(), [first, second].sort());
    for (const ticket of valid) {
      assertHas(ticket, { status: "Issued", redeemed: "N/A" });
      assert.equal(ticket.owner.number, people.annie.number);
      assert.equal(ticket.section.uri, backstage.uri);
    }
    const pages = door.tickets(1);
    assert.equal((await pages).length, 1);
    assert.equal(await pages.pages, 2);
  });

  await step("valid tickets are admitted once, others left out", async () => {
    const admitted = await door.admit([first, "NOSUCH-TICKET000000", serials.vip[0]]);
    assert.equal(admitted.length, 1);
    assertAdmission(admitted[0], first);
    await refused(door.admit([first]), BadDataError, 400, NO_ADMISSION);
    await refused(door.admit(serials.vip), BadDataError, 400, NO_ADMISSION);
  });

  await step("an admitted ticket is no longer valid, and a syncing door learns of it", async () => {
    assert.deepEqual((await door.tickets(25)).map(({ serial }) => serial), [second]);
    const changed = await door.tickets(25).filter({ modified_since: anHourAgo() });
    const used = changed.find(({ serial }) => serial === first);
    assert.equal(used.status, "Redeemed");
    assert.match(used.redeemed, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
  });

  await step("admissions are listed and filtered", async () => {
    const criteria = {
      redeemer: "Billy Butcher",
      device: "Google Pixel 6 Pro",
      ticket: first,
      patron: people.annie.number,
      section: backstage.id,
    };
    const all = await door.admissions(25);
    assert.equal(all.length, 1);
    assertAdmission(all[0], first);
    for (const [filter, value] of Object.entries(criteria)) {
      assert.equal((await door.admissions(25).filter({ [filter]: value })).length, 1, filter);
    }
    assert.deepEqual(await door.admissions(25).filter({ redeemer: "Frenchie" }), []);
    assert.deepEqual(await door.admissions(25).filter({ patron: people.marvin.number }), []);
  });

  await step("the global token admits everywhere", async () => {
    const [{ code }] = await event.tokens.filter({ global: true });
    const everywhere = await open().session.admission(code, "Mother's Milk", "Scanner");
    assert.deepEqual(idsOf(everywhere.sections), idsOf(event.sections));
    assert.equal((await everywhere.admit([second, ...serials.vip])).length, 2);
    assert.equal((await everywhere.admissions(25)).length, 3);
    assert.equal((await door.admissions(25)).length, 2);
  });

  function assertAdmission(admission, serial) {
    assertHas(admission, { redeemer: "Billy Butcher", device: "Google Pixel 6 Pro", ticket: serial });
    assert.equal(admission.patron.number, people.annie.number);
    assertHas(admission.section, { uri: backstage.uri, name: "Backstage" });
    assert.match(admission.admitted, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/);
  }
}

async function admissionEnded({ open, event }, token, door) {
  const { code } = token;

  await step("an invalidated token opens no door", async () => {
    assert.equal(await token.delete(), true);
    await within(REVOCATION_SECONDS, () => refused(door.tickets(25), UnclassifiedError, 403));
    const unknown = "The provided code does not belong to any event token";
    await refused(open().session.admission(code, "Billy Butcher", "Phone"), UnauthorisedError, 404, unknown);
    assert.equal((await event.tokens).length, 1);
  });

  await step("a closed door stays closed", async () => {
    const closed = "The admission session has ended, you must start a new one.";
    assert.equal(await door.end(), true);
    await refused(door.tickets(25), InvalidStateError, 0, closed);
    await refused(door.admit([]), InvalidStateError, 0, closed);
  });
}

// ---------------------------------------------------------------- reports

async function reports({ marvin, annie }, host, { premier }) {
  await step("the event and its host have something to report", async () => {
    const event = await marvin.events.find(premier.id);
    assertHas(await event.statistics(), { capacity: 16, orders: 1, revenue: 0, tickets: 3 });
    assertHas(await host.statistics(), { events: 2, orders: 1, revenue: 0, tickets: 3 });
    const seen = await annie.events.find(premier.id);
    await refused(seen.statistics(), UnclassifiedError, 403, NOT_HOST_ADMINISTRATOR);
  });
}

// ---------------------------------------------------------------- removal

async function removal({ admin, open, marvin }, people, host, { region, venue, category }, { premier, afterparty }) {
  await step("an event goes once its sections are gone", async () => {
    for (const section of (await marvin.events.find(premier.id)).sections) {
      assert.equal(await section.delete(), true);
    }
    const event = await marvin.events.find(premier.id);
    assert.deepEqual(event.sections, []);
    assert.equal(await event.delete(), true);
    assert.equal(await afterparty.delete(), true);
    await refused(marvin.events.find(premier.id), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  await step("the host goes, then what its events stood in", async () => {
    assert.equal(await host.delete(), true);
    await refused(open().hosts.find(host.id), ResourceNotFoundError, 404, NO_HOST);
    assert.equal(await venue.delete(), true);
    assert.equal(await category.delete(), true);
    // Annie still prefers the region, which holds nobody up.
    assert.equal(await region.delete(), true);
    await refused(open().regions.find(region.id), ResourceNotFoundError, 404, NOTHING_THERE);
  });

  await step("the accounts go", async () => {
    for (const { number, username } of [people.marvin, people.annie]) {
      assert.equal(await (await admin.accounts.find(number)).delete(), true);
      await refused(admin.accounts.find(number), ResourceNotFoundError, 404, NO_ACCOUNT);
      assert.equal((await open().accounts.lookup({ identification: username })).found, false);
    }
  });
}

async function endOfIntegration(admin, integration) {
  await step("the integration key is revoked and the administrator leaves", async () => {
    await sent(200, admin.apiKey, "DELETE", integration.self);
    const revoked = () => new TickeTing({ apiKey: integration.key }).regions.list();
    await within(REVOCATION_SECONDS, () => refused(revoked(), UnclassifiedError, 403));
    assert.equal(await admin.session.end(), true);
  });
}

// ---------------------------------------------------------------- forms

function login(name) {
  return { username: `${name}${RUN}`, password: PASSWORD, email: `${name}.${RUN}@example.com` };
}

async function signedIn(open, { username }) {
  const person = open();
  await person.session.start({ identification: username, password: PASSWORD });
  return person;
}

function premierForm() {
  return {
    title: `Dawn of the Seven Premier ${RUN}`,
    description: "World Premier of the long awaited film",
    type: "Standard",
    public: true,
    subcategory: "Premier",
    start: "2034-06-07T20:00",
    end: "2034-06-07T23:00",
    disclaimer: "Attend at your own risk",
    tags: ["homelander", "queen maeve", "the deep", "A-Train"],
  };
}

async function addSection(person, event, form) {
  const sales = { salesStart: "2024-01-01T00:00", salesEnd: "2033-06-07T19:00" };
  const section = { description: `${form.name} of the house`, ...sales, ...form };
  return sent(201, person.apiKey, "POST", `${event.uri}/sections`, section);
}

function anHourAgo() {
  return new Date(Date.now() - 3_600_000).toISOString().replace(/\.\d+Z$/, "+00:00");
}

// ---------------------------------------------------------------- the walk's own tools

async function step(name, action) {
  try {
    const result = await limited(action());
    console.log(`ok    ${name}`);
    return result;
  } catch (reason) {
    return fail(name, reason);
  }
}

function fail(name, reason) {
  console.error(`FAIL  ${name}`);
  console.error(reason);
  process.exit(1);
}

/** What the client promised, or a failure: it leaves some promises open for ever. */
function limited(promise) {
  let timer;
  const tooLate = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result after ${STEP_SECONDS} seconds`)), STEP_SECONDS * 1000);
  });
  return Promise.race([promise, tooLate]).finally(() => clearTimeout(timer));
}

/** Asserts that the client refuses, with this very class, status and text. */
async function refused(attempt, kind, code, message) {
  let refusal = null;
  try {
    await attempt;
  } catch (error) {
    refusal = error;
  }
  assert.ok(refusal, `should have been refused: ${kind.name} ${code} ${message ?? ""}`);
  const actual = { kind: refusal.constructor.name, code: refusal.code, message: refusal.message };
  // Without a text only class and status count: the general 401 and 403 carry theirs where the client does not look.
  const expected = { kind: kind.name, code, message: message ?? actual.message };
  assert.deepEqual(actual, expected);
}

/** Repeats a check until it holds: a revoked key may live on in another worker for a moment. */
async function within(seconds, check) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** Plain HTTP for what the client has no call for; asserts the status, returns the body. */
async function sent(status, key, method, path, form) {
  const response = await fetch(`${server}/v3${path}`, {
    method,
    headers: { "X-API-Key": key, "X-Client-Version": CLIENT_VERSION, "Content-Type": "application/json" },
    body: form && JSON.stringify(form),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  assert.equal(response.status, status, `${method} ${path}: ${text}`);
  return JSON.parse(text);
}

/** All entries of a list, page after page. */
async function everything(collection) {
  const entries = [];
  for (let page = collection; ; page = page.next()) {
    entries.push(...(await page));
    if (!(await page.hasNext())) {
      return entries;
    }
  }
}

async function assertImage(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  assert.equal(response.status, 200, url);
  assert.match(response.headers.get("content-type"), /^image\//, url);
}

function assertHas(thing, members) {
  const actual = Object.fromEntries(Object.keys(members).map((name) => [name, thing[name]]));
  assert.deepEqual(actual, members);
}

function idsOf(things) {
  return things.map(({ id }) => id);
}

function numbersOf(accounts) {
  return accounts.map(({ number }) => number);
}

function setting(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`Set ${name}; the head of this script names all four.`);
    process.exit(2);
  }
  return value;
}
