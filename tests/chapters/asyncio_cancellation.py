# Mastering asyncio: Timeouts and Cancellation

import asyncio


async def slow_operation() -> str:
    await asyncio.sleep(10)
    return "done"


async def main():
    # wait_for: apply a timeout
    try:
        result = await asyncio.wait_for(slow_operation(), timeout=2.0)
    except asyncio.TimeoutError:
        print("Timed out!")

    # shield: protect from cancellation
    task = asyncio.create_task(slow_operation())
    protected = asyncio.shield(task)

    try:
        result = await asyncio.wait_for(protected, timeout=1.0)
    except asyncio.TimeoutError:
        print("Shield timed out — inner task keeps running")
        task.cancel()  # Explicit cancellation

    # Task cancellation
    async def cancellable():
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            print("Cancelled! Cleaning up...")
            raise  # Must re-raise

    t = asyncio.create_task(cancellable())
    await asyncio.sleep(0.1)
    t.cancel()
    try:
        await t
    except asyncio.CancelledError:
        print("Task cancellation confirmed")


asyncio.run(main())
