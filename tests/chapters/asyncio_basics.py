# Mastering asyncio: async/await Basics

import asyncio
import time


# Synchronous function
def sync_sleep(name: str, delay: float) -> None:
    print(f"[Sync] {name} start")
    time.sleep(delay)  # Blocking
    print(f"[Sync] {name} done")


# Asynchronous function (coroutine)
async def async_sleep(name: str, delay: float) -> str:
    print(f"[Async] {name} start")
    await asyncio.sleep(delay)  # Non-blocking wait
    print(f"[Async] {name} done")
    return f"{name} result"


# Run asynchronously
async def main():
    # Sequential execution (still runs in order)
    result1 = await async_sleep("Task A", 1.0)
    result2 = await async_sleep("Task B", 0.5)
    print(f"Results: {result1}, {result2}")


asyncio.run(main())


# Concurrent execution — gather
async def concurrent_main():
    start = time.perf_counter()

    results = await asyncio.gather(
        async_sleep("A", 1.0),
        async_sleep("B", 0.5),
        async_sleep("C", 1.5),
    )
    elapsed = time.perf_counter() - start
    print(f"Concurrent results: {results}")
    print(f"Elapsed: {elapsed:.2f}s (sequential would be 3s)")  # ~1.5s


asyncio.run(concurrent_main())
