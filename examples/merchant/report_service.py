"""The report service: the same report from its own database, which a firehose fills."""
from common import Pool, report, serve


class ReportService:
    def __init__(self, database):
        self.pool = Pool(database, 16)
        self.server = serve({"GET /report": self.report})
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def report(self, query, _body):
        with self.pool.connection() as connection:
            return report(connection, "merchant_orders", query["merchant"], query["since"])

    def stop(self):
        self.server.shutdown()
