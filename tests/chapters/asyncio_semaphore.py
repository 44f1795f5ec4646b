# Mastering asyncio: Semaphore and Concurrency Control

import asyncio


# Semaphore: limit concurrent executions
async def fetch(url: str, semaphore: asyncio.Semaphore) -> dict:
    async with semaphore:  # At most N running at once
        await asyncio.sleep(0.1)  # Simulate HTTP request
        return {"url": url, "status": 200}


async def crawl(urls: list[str], max_concurrent: int = 10):
    semaphore = asyncio.Semaphore(max_concurrent)
    tasks = [fetch(url, semaphore) for url in urls]
    return await asyncio.gather(*tasks)


async def main():
    sem = asyncio.Semaphore(3)  # Max 3 concurrent
    urls = [f"https://example.com/page/{i}" for i in range(10)]
    results = await asyncio.gather(*[fetch(url, sem) for url in urls])
    print(f"Done: {len(results)} pages")


asyncio.run(main())
