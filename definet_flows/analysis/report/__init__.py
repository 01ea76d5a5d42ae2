"""The report page of a campaign: one HTML file with its numbers, figures, tables and structures."""

from definet_flows.analysis.report.document import Live, report_page, write_page

__all__ = ["Live", "report_page", "write_page"]
