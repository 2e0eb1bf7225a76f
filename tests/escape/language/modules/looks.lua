return observe(prometheus.value("up"))
