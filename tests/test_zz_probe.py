import time, asyncio
from conftest import Client
from makers import *
import asyncpg
from ticketing.events import queries, presenting
from ticketing.events.presenting import *
from ticketing.venues.maps import Maps
from ticketing.kit.callers import Caller, Level
import msgspec
async def test_probe(administrator: Client, alice: Client, public, db, app, database, settings):
    event = await make_event(alice, administrator)
    for n in range(3):
        section = await make_section(alice, event, basePrice=60)
        if n == 0: await alice.post(f"{section_uri(event, section)}/prices", name="Early", price=40, to="2030-01-01T00:00", quantity=5)
    event = await list_event(administrator, event)
    c = await asyncpg.connect(database, server_settings={"jit":"off"})
    eid = int(id_of(event))
    caller = Caller(Level.PUBLIC, b"")
    shown = Presentation("http://x/media", Maps(), fee_bands(settings))
    async def measure(name, f, n=2000):
        for _ in range(50): await f()
        a=time.perf_counter(); ac=time.process_time()
        for _ in range(n): await f()
        print(f"{name}: wall {(time.perf_counter()-a)/n*1e6:.0f} us, cpu {(time.process_time()-ac)/n*1e6:.0f} us")
    nosec = queries._EVENT.replace(f"(SELECT json_agg({STORED_SECTION} ORDER BY section.id)", "(SELECT json_agg(1)")
    rowed = queries._EVENT.replace("json_agg(json_build_array(", "array_agg((").replace("json_agg((", "array_agg((")
    for _ in range(2):
        await measure("select 1", lambda: c.fetchrow("SELECT 1"))
        await measure("sql", lambda: c.fetchrow(queries._EVENT, eid))
        await measure("event_for", lambda: queries.event_for(c, caller, str(eid), shown))
        row = await c.fetchrow(queries._EVENT, eid)
        async def build(): msgspec.json.encode(build_event(row, shown))
        await measure("build+encode", build)
        await measure("sql without sections", lambda: c.fetchrow(nosec, eid))
        await measure("sql with records", lambda: c.fetchrow(rowed, eid))
    r = await c.fetchrow(rowed, eid); print(r["sections"])
    p = await c.fetch("EXPLAIN ANALYZE " + queries._EVENT, eid)
    print("\n".join(x[0] for x in p))
    await c.close()
