"""Runs at every NVFlare client, inside its job process: the script that NVFlare calls a Client API script."""

import nvflare.client as flare
import work

flare.init()
client = int(flare.get_site_name().removeprefix("site-"))
while flare.is_running():
    model = flare.receive()
    if model is None:
        break
    for name, array in model.params.items():
        model.params[name] = work.train(array, client)
    flare.send(
        flare.FLModel(params=model.params, params_type=flare.ParamsType.FULL, meta={"NUM_STEPS_CURRENT_ROUND": 1})
    )
    del model
