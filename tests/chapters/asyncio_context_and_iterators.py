# Mastering asyncio: Async Context Managers and Iterators

import asyncio


# Async context manager
class AsyncDatabaseConnection:
    def __init__(self, url: str):
        self.url = url
        self.connected = False

    async def __aenter__(self):
        print(f"DB connect: {self.url}")
        await asyncio.sleep(0.1)  # Simulate connection delay
        self.connected = True
        return self

    async def __aexit__(self, exc_type, exc_val, exc_tb):
        print("DB disconnect")
        await asyncio.sleep(0.05)
        self.connected = False

    async def execute(self, query: str) -> list:
        if not self.connected:
            raise RuntimeError("Not connected")
        await asyncio.sleep(0.05)
        return [{"id": 1, "data": query}]


async def main():
    async with AsyncDatabaseConnection("postgresql://localhost/mydb") as db:
        rows = await db.execute("SELECT * FROM users")
        print(f"Query result: {rows}")


asyncio.run(main())


# Async iterator
class AsyncRange:
    def __init__(self, start: int, stop: int, delay: float = 0.0):
        self.current = start
        self.stop = stop
        self.delay = delay

    def __aiter__(self):
        return self

    async def __anext__(self) -> int:
        if self.current >= self.stop:
            raise StopAsyncIteration
        await asyncio.sleep(self.delay)
        value = self.current
        self.current += 1
        return value


async def iterate():
    async for value in AsyncRange(0, 5, delay=0.1):
        print(value, end=" ")
    print()

    # Async generator
    async def async_gen(n: int):
        for i in range(n):
            await asyncio.sleep(0.01)
            yield i * i

    async for sq in async_gen(5):
        print(sq, end=" ")
    print()


asyncio.run(iterate())
