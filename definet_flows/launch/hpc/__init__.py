"""The configuration folder of a cluster: FireWorks, jobflow and atomate2 for one scheduler and one database."""
