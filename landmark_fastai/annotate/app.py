"""What the page of `annotate` asks for and sends, over HTTP on this machine.

Whoever has not come by the address with the token, comes from another site or by another name of this machine gets
nothing. Images are numbers in the list of the desk: no path comes from the page.
"""

import json
import secrets
from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import cv2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import UsageError
from ..formats.images import read_film
from .actions import Change, read_action
from .desk import Desk
from .queue import ORDERS

READERS = ThreadPoolExecutor(2, 'film')  # this one and the next; memory that a thread has used stays its own
LARGEST = 2 ** 20  # bytes of what a page sends
STATIC = Path(__file__).parent / 'static'
CHANGED = 'the films or the reader are others than when the page was loaded; load it again'
HEADERS = {
    'Content-Security-Policy': "default-src 'self'; img-src 'self' blob:; frame-ancestors 'none'; form-action 'none'",
    'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin', 'Cache-Control': 'no-store'}


def make_app(desk: Desk, token: str, hosts: set[str], lifespan: Callable | None = None) -> Starlette:
    """The server of a `desk`, for browsers that call it by one of `hosts` (name:port) and know the `token`.

    `lifespan` is what happens while it runs, as starlette has it.
    """
    def api(answer: Callable) -> Callable:
        async def endpoint(request: Request) -> Response:
            if request.query_params.get('films', desk.films) != desk.films:
                return JSONResponse({'error': CHANGED}, 409)
            try: found = await answer(desk, request)
            except UsageError as e: return JSONResponse({'error': desk.told(str(e))}, 400)
            except OSError as e: return JSONResponse({'error': e.strerror or str(e)}, 507)
            return found if isinstance(found, Response) else JSONResponse(found)
        return endpoint
    routes = [Route('/', start), Mount('/static', StaticFiles(directory=STATIC)), Route('/api/desk', api(get_desk)),
              Route('/api/images/{number:int}', api(get_image)),
              Route('/api/images/{number:int}/pixels', api(get_pixels)),
              Route('/api/images/{number:int}/predicted', api(get_predicted)),
              Route('/api/images/{number:int}/slips', api(get_slips)), Route('/api/order', api(get_order)),
              Route('/api/actions', api(post_actions), methods=['POST'])]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token, hosts=hosts)], lifespan=lifespan)


class Guard:
    "Let through what comes from the page of this server alone; the first visit brings the token, others its cookie."
    def __init__(self, app: ASGIApp, token: str, hosts: set[str]):
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send):
        if scope['type'] != 'http': return await self.app(scope, receive, send)
        request = Request(scope)
        response = self.refusal(request) or self.welcome(request)
        async def with_headers(message):
            if message['type'] == 'http.response.start':
                message['headers'] += [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
            await send(message)
        await (response or self.app)(scope, receive, with_headers)

    def refusal(self, request: Request) -> Response | None:
        "What answers a request that is refused."
        host = request.headers.get('host', '')
        if host not in self.hosts: return PlainTextResponse('unknown host', 421)
        given = request.query_params.get('token') or request.cookies.get(self.cookie(host), '')
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return PlainTextResponse('open the address that annotate has printed', 403)
        if request.method in ('GET', 'HEAD'): return None
        if urlsplit(request.headers.get('origin', '')).netloc != host: return PlainTextResponse('another origin', 403)
        if request.headers.get('content-type') != 'application/json': return PlainTextResponse('no JSON', 415)
        length = request.headers.get('content-length', '')
        if not length.isdigit() or int(length) > LARGEST: return PlainTextResponse('too long', 413)
        return None

    def welcome(self, request: Request) -> Response | None:
        "What answers the first visit: the token becomes a cookie, and goes from the address."
        if 'token' not in request.query_params: return None
        response = RedirectResponse(request.url.path, 303)
        response.set_cookie(self.cookie(request.headers['host']), self.token, httponly=True, samesite='strict')
        return response

    @staticmethod
    def cookie(host: str) -> str:
        "The name of the cookie: browsers do not tell ports apart."
        return f'annotate_{host.rpartition(":")[2]}'


async def start(request: Request) -> Response:
    "The page."
    return FileResponse(STATIC / 'index.html')


# --- what the page asks for

async def get_desk(desk: Desk, request: Request) -> dict:
    "Landmarks, images and how far each is."
    answered = [desk.work.n_marked(image) for image in desk.images]
    notes = {desk.numbers[image]: reason.text for image, reason in desk.reasons.items()}
    seconds = [desk.work.seconds.get(image, 0.) for image in desk.images]
    return {'key': desk.key, 'films': desk.films, 'reader': desk.reader, 'landmarks': desk.landmarks,
            'images': desk.titles, 'ids': desk.ids, 'isBlind': desk.study.hides_names, 'answered': answered,
            'seconds': seconds, 'notes': notes} | head(desk)


async def get_order(desk: Desk, request: Request) -> list[int]:
    "The numbers of the images in an order of `queue.ORDERS`."
    how = request.query_params.get('how')
    if how not in ORDERS: raise UsageError(f'how is {str(how)[:100]!r}, expected one of {", ".join(ORDERS)}')
    return await run_in_threadpool(desk.order, how)


async def get_image(desk: Desk, request: Request) -> dict:
    "Size of an image, and what the reader has said of it. Raises UsageError where it cannot be read."
    image = image_of(desk, request.path_params['number'])
    width, height = await run_in_threadpool(desk.size, image)
    return {'width': width, 'height': height} | await run_in_threadpool(state, desk, image)


async def get_predicted(desk: Desk, request: Request) -> dict:
    "As `get_image`, once the run was asked. Raises UsageError where it cannot tell."
    await run_in_threadpool(desk.ask_run, image_of(desk, request.path_params['number']))
    return await get_image(desk, request)


async def get_slips(desk: Desk, request: Request) -> list[str]:
    "What looks like a slip on an image."
    return await run_in_threadpool(desk.slips_of, image_of(desk, request.path_params['number']))


async def get_pixels(desk: Desk, request: Request) -> Response:
    """The pixels of an image as the package reads it, with their window in headers; never the file itself.

    PNG where 8 bits are all there is, else rows of little-endian uint16. Raises UsageError where it cannot be read.
    """
    path = desk.path(image_of(desk, request.path_params['number']))
    return await get_running_loop().run_in_executor(READERS, pixels_of, path)


def pixels_of(path: Path) -> Response:
    "What `get_pixels` answers for the image at `path`."
    pixels, (black, white) = read_film(path)
    height, width = pixels.shape[:2]
    told = {'Width': width, 'Height': height, 'Channels': 1 if pixels.ndim == 2 else 3, 'Black': float(black),
            'White': float(white)}
    headers = {f'X-{name}': str(number) for name, number in told.items()}
    if pixels.dtype == 'uint16':
        return Response(pixels.astype('<u2').tobytes(), 200, headers, 'application/octet-stream')
    stored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    png = cv2.imencode('.png', stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]  # it only goes to this machine
    return Response(png.tobytes(), 200, headers, 'image/png')


async def post_actions(desk: Desk, request: Request) -> dict:
    "Keep what the page has sent, a list of actions; answers once that is on disk."
    try: values = json.loads(await request.body())
    except ValueError: raise UsageError('no JSON') from None
    if not isinstance(values, list): raise UsageError('expected a list of actions')
    actions = [read_action(with_name(desk, value), desk.landmarks) for value in values]
    await run_in_threadpool(desk.take, actions)
    images = {action.image for action in actions}
    states = {desk.numbers[image]: await run_in_threadpool(state, desk, image) for image in images}
    return {'images': states} | head(desk)


def with_name(desk: Desk, value: dict) -> dict:
    "An action that the page has sent, which knows images by numbers, with the name of its image."
    if not isinstance(value, dict): raise UsageError(f'an action is {str(value)[:100]!r}; expected an object')
    return value | {'image': image_of(desk, value.get('image'))}


def image_of(desk: Desk, number: int) -> str:
    "The image of that number. Raises UsageError where there is none."
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(desk.images):
        return desk.images[number]
    raise UsageError(f'{str(number)[:100]!r} is no number of an image, of which there are {len(desk.images)}')


def state(desk: Desk, image: str) -> dict:
    "What the reader has said of an image, and what is offered there."
    work = desk.work
    return {'marks': {name: mark for name, mark in work.of(image).items() if mark is not None},
            'origins': work.origins.get(image, {}), 'conflicts': work.conflicts.get(image, {}),
            'seconds': work.seconds.get(image, 0.), 'canAsk': desk.help.can_ask(image),
            'suggestions': {name: [asdict(each) for each in offered]
                            for name, offered in desk.suggestions_of(image).items()}}


def head(desk: Desk) -> dict:
    "How many actions there are, and what can be undone and redone next."
    def of(changes: list[Change]):  # of an image that is gone there is no number
        return {'target': changes[-1].id, 'image': desk.numbers.get(changes[-1].image)} if changes else None
    return {'n': desk.work.n, 'undo': of(desk.work.done), 'redo': of(desk.work.undone)}
