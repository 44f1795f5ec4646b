# Mastering asyncio: Task — Background Execution

import asyncio
import time


async def background_task(name: str, delay: float) -> str:
    await asyncio.sleep(delay)
    return f"{name} done"


async def main():
    # create_task: scheduled immediately, starts running without await
    task1 = asyncio.create_task(background_task("Task-1", 1.0))
    task2 = asyncio.create_task(background_task("Task-2", 0.5))

    print("Tasks created, doing other work...")
    await asyncio.sleep(0.1)
    print("Other work complete")

    # Collect results
    result1 = await task1
    result2 = await task2
    print(f"{result1}, {result2}")


asyncio.run(main())


# TaskGroup (Python 3.11+): improved error handling
async def task_group_example():
    async with asyncio.TaskGroup() as tg:
        task1 = tg.create_task(background_task("A", 1.0))
        task2 = tg.create_task(background_task("B", 0.5))
        task3 = tg.create_task(background_task("C", 1.5))

    # All tasks complete before reaching here
    print(task1.result(), task2.result(), task3.result())


asyncio.run(task_group_example())
