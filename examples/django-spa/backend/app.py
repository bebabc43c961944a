# SPDX-License-Identifier: Apache-2.0
"""The smallest Django project that shows what a backend behind headgate sees. Start: RELEASE=1 gunicorn app:application"""

import hashlib
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    DEBUG=False,
    SECRET_KEY=os.environ.get("SECRET_KEY", "only for the example"),
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],  # the edge answers only for its own names
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    USE_X_FORWARDED_HOST=True,
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,  # the edge's max_body is the limit
)


RELEASE = os.environ.get("RELEASE", "1")


def health(request):
    """What the edge asks before it sends anybody here. HEALTH=down is a release that starts and cannot work: no database, say."""
    well = os.environ.get("HEALTH") != "down"
    return JsonResponse({"status": "ok" if well else "down", "release": RELEASE}, status=200 if well else 503)


def show(request, **_):
    """What reached Django."""
    return JsonResponse({
        "release": RELEASE,
        "path": request.get_full_path(),
        "method": request.method,
        "url": request.build_absolute_uri(),
        "secure": request.is_secure(),
        "client": request.headers.get("X-Real-IP"),
        "forwarded_for": request.headers.get("X-Forwarded-For"),
    })


@csrf_exempt
def upload(request):
    body = request.body
    return JsonResponse({"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})


urlpatterns = [
    path("health/", health),
    path("upload/", upload),
    path("", show),
    path("<path:rest>", show),
]

application = get_wsgi_application()
