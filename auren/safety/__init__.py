"""What a production bridge must not start without, and what `manage.py doctor` shows.

`configured` looks at settings alone, `running` asks the database, Redis and Kafka,
`verdicts` runs both and refuses the start.
"""
