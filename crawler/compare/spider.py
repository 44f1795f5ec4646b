"""The crawl of `run`, by Scrapy: `python spider.py URL`. Prints the number of pages."""

import re
import sys

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.linkextractors import LinkExtractor

START = sys.argv[1]
PAGES = re.escape(START) + r"(.*\.html|.*/)?$"


class Spider(scrapy.Spider):
    name = "compare"
    pages = 0
    links = LinkExtractor(allow=PAGES)

    async def start(self):
        yield scrapy.Request(START)

    def parse(self, response):
        Spider.pages += 1
        for link in self.links.extract_links(response):
            yield scrapy.Request(link.url)


process = CrawlerProcess(
    {
        "CONCURRENT_REQUESTS": 64,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 64,
        "DOWNLOAD_DELAY": 0,
        "ROBOTSTXT_OBEY": True,
        "RETRY_ENABLED": False,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "ERROR",
    }
)
process.crawl(Spider)
process.start()
print(Spider.pages)
