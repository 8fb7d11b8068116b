"""The application. URLs come from CELERY_BROKER_URL and CELERY_RESULT_BACKEND; only routes are set."""

from celery import Celery

app = Celery(
    "shop",
    include=["shop.mail", "shop.media", "shop.payments", "shop.reports", "shop.stock", "shop.suppliers"],
)
app.conf.task_routes = {
    "shop.payments.*": {"queue": "high"},
    "shop.mail.*": {"queue": "mail"},
    "shop.reports.*": {"queue": "reports"},
    "shop.suppliers.*": {"queue": "suppliers"},
    "shop.media.archive": {"queue": "archive"},
}
