# Mastering asyncio: Real-World Example: Async Web Scraper

import asyncio
import time
from dataclasses import dataclass


@dataclass
class Page:
    url: str
    status: int = 0
    content_length: int = 0
    elapsed: float = 0.0
    error: str = ""


async def fetch_page(url: str, session_semaphore: asyncio.Semaphore) -> Page:
    """In production, use aiohttp.ClientSession"""
    start = time.perf_counter()
    async with session_semaphore:
        try:
            import random
            await asyncio.sleep(random.uniform(0.1, 0.5))
            return Page(
                url=url,
                status=200,
                content_length=random.randint(1000, 50000),
                elapsed=time.perf_counter() - start,
            )
        except Exception as e:
            return Page(url=url, error=str(e), elapsed=time.perf_counter() - start)


async def scrape(urls: list[str], max_concurrent: int = 5) -> list[Page]:
    sem = asyncio.Semaphore(max_concurrent)
    tasks = [asyncio.create_task(fetch_page(url, sem)) for url in urls]
    return await asyncio.gather(*tasks)


async def main():
    urls = [f"https://example.com/article/{i}" for i in range(20)]

    start = time.perf_counter()
    pages = await scrape(urls, max_concurrent=5)
    elapsed = time.perf_counter() - start

    success = [p for p in pages if p.status == 200]
    print(f"Done: {len(success)}/{len(pages)}, elapsed: {elapsed:.2f}s")
    avg_size = sum(p.content_length for p in success) / len(success)
    print(f"Average size: {avg_size:.0f} bytes")


asyncio.run(main())
