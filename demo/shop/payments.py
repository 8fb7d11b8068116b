from celery import shared_task

from shop import gateway


@shared_task
def charge(order, amount, currency="eur"):
    receipt = gateway.pay(amount, currency)
    return {"order": order, **receipt}


@shared_task
def refund(order, reason=None):
    if reason is None:
        raise ValueError(f"order {order}: a refund needs a reason")
    return {"order": order, "refunded": True}
