"""The same tasks where arguments may be pickled: what workers then answer is not always JSON."""

from celery import Celery

app = Celery("lab", include=["lab.tasks"])
app.conf.update(accept_content=["json", "pickle"])
