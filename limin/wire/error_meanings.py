"""The meaning of words, codes and numbers in errors: tables, with the source of each row.

To teach limin a new wording, add one line to a table: a pattern, and the server that
sends it. Rows without a known server say "a wording". Patterns meet the plain text of
`error_classes`: lower case, `snake_case` and `CamelCase` as separate words, no quotes, no
links, a dot only between sentences. So one line matches both the words and the code of an
error. In a pattern, `…` stands for up to 60 characters of one sentence. `error_classes`
says which table is looked at under which status, and in which order.
"""

from __future__ import annotations

import re

from limin.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    QuotaError,
    RateLimitError,
    ServerError,
    StatusError,
)


def _table(*rows: tuple[str, str]) -> re.Pattern[str]:
    """Return one pattern that matches where any row of a table does."""
    patterns = (pattern.replace("…", r"[^\n.]{0,60}?") for pattern, _ in rows)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


# A row is one line, so that one line adds a wording.
# fmt: off

# The balance, the budget or the payment is at its end: no wait cures it.
USED_UP = _table(
    (r"insufficient (?:user |account |token |available )*quota", "OpenAI, new-api"),
    (r"exceeded current quota error", "Moonshot's type"),
    (r"(?:user|token|pre consume\w*)(?: token)? quota (?:is )?(?:not enough|failed|exhausted)", "new-api"),
    (r"insufficient (?:\w+ ){0,2}(?:balance|credits?|funds?|money)", "DeepSeek, OpenRouter"),
    (r"\b(?:balance|credits?|funds?) (?:\w+ ){0,3}(?:insufficient|too low|not enough|not sufficient|negative|empty|below)\b", "Anthropic, SiliconFlow"),
    (r"\b(?:balance|credits?|funds?) (?:\w+ ){0,3}(?:exhausted|depleted|used up|runs? out|expired)\b", "a wording"),
    (r"(?:not enough|not have enough|not have sufficient|lack of|low|negative|zero) (?:\w+ )?(?:balance|credits?|funds?)\b", "Replicate, Novita"),
    (r"not have any (?:\w+ ){0,2}(?:credits?|funds?|balance)\b", "xAI"),
    (r"(?:doesn|don) t have any (?:\w+ ){0,2}(?:credits?|funds?|balance)\b", "xAI"),
    (r"(?:out of|ran out of|run out of|no more|no remaining|used all|exhausted) (?:\w+ ){0,3}(?:credits?|funds?|balance)\b", "xAI, Cerebras"),
    (r"\bno (?:credits?|funds?) (?:left|remain|available|on |in )|(?:have|has|had|with) no (?:credits?|funds?)\b", "a wording"),
    (r"(?:^|\n|\. )no (?:credits?|funds?)(?: \.|\n|$)", "a wording, which is all that is said"),
    (r"key limit exceeded", "OpenRouter"),
    (r"exceeded (?:\w+ ){0,4}credits\b|credits? (?:limit )?(?:\w+ )?(?:exceeded|reached)", "Hugging Face, Together"),
    (r"requires? (?:more )?credits|can only afford", "OpenRouter"),
    (r"budget\b…(?:exceed|reached|exhausted|used up|over)", "LiteLLM"),
    (r"(?:exceed\w*|over|reached)…\bbudget", "LiteLLM"),
    (r"(?:spend|spending|billing|monthly|cost) (?:hard )?limit…(?:reached|exceeded)", "OpenAI"),
    (r"(?:reached|reaching|exceeded|exceeding)…(?:spend|spending|billing|cost)(?: hard)? limit", "xAI, Fireworks"),
    (r"billing (?:is )?(?:not active|not enabled|disabled|inactive)", "OpenAI, Gemini"),
    (r"payment (?:is )?(?:required|overdue|failed|needed)|payment method (?:is )?required", "HTTP 402"),
    (r"unpaid|past due|over ?due|arrear|past invoices?|failure to pay|failed to pay", "DashScope, Volcengine, Fireworks"),
    (r"(?:account|subscription|plan|package)…good standing", "DashScope"),
    (r"(?:subscription|plan|package|trial) (?:\w+ ){0,2}(?:expired|ended)", "Zhipu's coding plan"),
    (r"(?:余额|餘額|额度|点数|积分|资源包)[^\n.]{0,12}?(?:不足|用尽|用完|耗尽|不够|为零|为负|已用|過低|过低)", "new-api, SiliconFlow, Zhipu"),
    (r"欠费|欠費|请先?付费|停服|预算[^\n.]{0,8}?(?:超|用尽)", "Zhipu, Volcengine"),
    (r"套餐[^\n.]{0,8}?(?:到期|过期|用完|用尽)", "Zhipu"),
    (r"(?:残高|クレジット)[^\n.]{0,10}?不足|(?:잔액|크레딧)[^\n.]{0,6}?부족", "Japanese and Korean wordings"),
)

# Sentences that stand in both: only a window, a rate or a wait makes them a rate limit.
MAYBE_USED_UP = _table(
    (r"exceeded your current quota|plan and billing|billing details", "OpenAI, Gemini, Moonshot"),
    (r"usage limits?\b…(?:reached|exceeded)|(?:reached|exceeded|hit)…usage limits?\b", "Anthropic"),
    (r"free (?:tier|quota|trial|credits?|allocation)…(?:exhausted|used up|exceeded|only|ended|over)", "DashScope, Workers AI"),
    (r"exhausted…free (?:tier|quota|trial|credits?|allocation)", "DashScope"),
    (r"(?:need|buy|purchase|add)(?: \w+)? (?:more )?credits", "OpenRouter"),
    (r"payment method|enable billing|top ?up|recharge|充值", "OpenAI, Gemini, new-api"),
    (r"out of (?:\w+ ){0,3}quota", "Azure API Management"),
    (r"账户已?(?:被)?(?:停用|冻结)|account…suspended…billing", "Moonshot"),
)

# A rate, whatever the status.
RATE = _table(
    (r"rate ?limit|limit rate|rate exceeded|rate quota", "OpenAI, Mistral, DashScope"),
    (r"too many (?:\w+ )?requests|too many tokens please wait", "HTTP 429, Bedrock"),
    (r"throttl", "Azure, Bedrock, DashScope"),
    (r"\b(?:requests?|tokens?|calls?|queries|images?|messages?|limit|quota) (?:\w+ )?(?:per|each|every|a) (?:\d+ )?(?:sec|min|hour|day|week|month)", "OpenAI, Gemini"),
    (r"\b[rtiq]p[smd]\b", "OpenAI's RPM, TPM, RPD; QPS in China"),
    (r"(?:concurren\w*|parallel)(?: \w+){0,3} (?:limit|exceed|reached|too)|(?:exceed|too many)…concurren", "Zhipu, Moonshot"),
    (r"request (?:frequency|rate)|(?:daily|hourly) (?:\w+ )?(?:limit|quota)", "Baidu"),
    (r"频率|頻率|频繁|頻繁|限流|限速|速率|每秒|每分|每小时|每天|每日|并发|並發", "Zhipu, Qianfan, DashScope"),
    (r"请求过多|请求数过多|请求次数|调用次数", "Zhipu"),
    (r"レート制限|リクエストが多すぎ|요청이 너무 많|속도 제한", "Japanese and Korean wordings"),
)
# A window that the exceeded limit is measured in.
WINDOW = _table(
    (r"\bper (?:\d+ )?(?:sec|min|hour|day|week|month)", "Gemini's quotaId"),
    (r"\b(?:daily|hourly|weekly|minutely)\b|(?<!\d)\d{1,6} ?(?:小时|分钟|天)", "Zhipu"),
)

# Words about an account that is closed, or a country: no prompt gets through.
ACCOUNT = _table(
    (r"\b(?:account|organi[sz]ation|project|workspace|team|tenant)\b…\b(?:suspended|deactivated|disabled|terminated|deleted|archived)", "OpenAI, Groq, Fireworks"),
    (r"\b(?:account|organi[sz]ation|project|workspace|team|tenant)\b…\b(?:banned|blocked|restricted|locked|frozen|closed|not active|inactive)", "OpenAI, Groq"),
    (r"(?:账户|账号|帐号|帐户|賬戶|用户)[^\n.]{0,10}?(?:封禁|禁用|冻结|锁定|停用|注销|异常|被封)", "Zhipu, new-api"),
)
COUNTRY = _table(
    (r"\b(?:country|region|territory|location)\b…(?:not (?:supported|available|allowed|permitted)|unsupported|unavailable|restricted|blocked|prohibited)", "OpenAI, Gemini"),
    (r"(?:unsupported|not (?:supported|available|allowed))…\b(?:country|region|territory|location)", "OpenAI, Bedrock"),
    (r"(?:国家|地区|地區|区域)[^\n.]{0,12}?(?:不支持|不可用|限制|不在)|不支持[^\n.]{0,10}?(?:国家|地区)", "new-api"),
)

_KEY = r"(?:(?:api|access|secret|subscription|service|virtual|master|license)[ ]?(?:key|token)s?|apikey|(?:auth\w*|bearer|proxy server|security) (?:key|token|credential|header)s?|credentials)"
_BAD = r"(?:invalid|incorrect|wrong|bad|missing|expired|revoked|malformed|unknown|unrecognized|no|illegal|empty|leaked|inactive|disabled|multiple)"
BAD_KEY = _table(
    (rf"\b{_BAD} (?:\w+ ){{0,3}}?{_KEY}", "OpenAI, vLLM, Gemini"),
    (rf"{_KEY}…\b(?:not valid|invalid|incorrect|wrong|malformed|not recognized|unknown|unauthorized)\b", "Gemini, DeepSeek"),
    (rf"{_KEY}…\b(?:expired|revoked|disabled|deleted|leaked|inactive|deactivated|suspended|blocked)\b", "Gemini"),
    (rf"{_KEY}…\b(?:not found|missing|not exist|doesn t exist|not provided|not supplied|required|not set)\b", "a wording"),
    (r"authentication (?:fail|error|required|is required)|invalid authentication|auth (?:error|failed)", "DeepSeek, LiteLLM"),
    (r"(?:failed to|could not|cannot|unable to) authenticate|not authenticated|unauthenticated", "Google"),
    (r"(?:did not|didn t|must|please) (?:provide|pass|supply|include|specify) (?:an|a|your|the)? ?(?:valid )?(?:api|access) ?key", "OpenAI, Gemini"),
    (r"(?:provide|pass|supply|include) (?:an|a|your|the)? ?(?:valid )?api ?key", "Gemini"),
    (r"unregistered callers", "Google"),
    (r"(?:api ?key|密钥|密鑰|令牌|鉴权|鑑權|认证|身份验证|授权|token)[^\n.]{0,8}?(?:无效|無效|错误|失败|失敗|过期|過期|不正确|非法|不合法|不存在|为空|缺失|已失效)", "Zhipu, Qianfan"),
    (r"(?:无效|無效|错误|非法|未提供|缺少|不正确)的?[^\n.]{0,4}?(?:api ?key|密钥|令牌|token|鉴权|认证)", "new-api"),
)

_HARM = r"(?:harmful|inappropriate|offensive|unsafe|sexual|sexually explicit|violent|toxic|abusive|hateful|(?<!case )sensitive|prohibited|disallowed|objectionable|dangerous|nsfw|high risk|risky)"
# The provider refuses this content.
CONTENT = _table(
    (r"content (?:filter|polic|moderat|management|violat|safety|security|risk|exists risk|inspect|review|flag)", "OpenAI, Azure, DeepSeek"),
    (r"content (?:is )?(?:blocked|reject|restrict|censor|check|guard|audit|not allowed|not permitted|prohibited)", "a wording"),
    (r"(?:responsible ai|cyber|content|safety|usage|use|acceptable use|ai|community|prompt|trust and safety) (?:policy|policies|guidelines?|standards|rules|principles)", "Azure, OpenAI, xAI"),
    (r"(?:violat\w*|against (?:our|the|their)|breach\w*|contraven\w*|infring\w*|not comply with|in conflict with)…(?:polic|guideline|terms|rules|standard|laws?\b|regulation)", "xAI, OpenAI"),
    (r"(?:terms|policy|policies|guidelines?)(?: \w+){0,3} violat", "Azure's ResponsibleAIPolicyViolation"),
    (r"data inspection|inspection (?:failed|error)", "DashScope"),
    (rf"{_HARM} (?:content|material|text|input|prompt|request|language|words?|terms?|information|topics?)", "DashScope, Volcengine"),
    (rf"(?:contain\w*|include\w*|considered|deemed|content is|prompt is|input is|message is|potentially) (?:\w+ )?{_HARM}", "Moonshot, Qianfan"),
    (r"(?:illegal|unlawful|forbidden|improper|explicit|malicious|obscene) (?:content|text|material|words?|topics?|information)", "a wording"),
    (r"moderation (?:block|fail|polic|flag|error|check|system|service|result|reject|filter|refus)", "OpenRouter"),
    (r"(?:by|requires?|failed|pass|content|input|prompt|through|under) (?:our |the )?(?:content )?moderation", "OpenRouter"),
    (r"\bflagged\b", "OpenAI, OpenRouter"),
    (r"safety (?:check|system|filter|setting|reason|rating|guard|concern|violat|block|classif|threshold|restriction|measure|mechanism)", "Gemini, xAI"),
    (r"(?:for|due to|by|of|on) (?:\w+ )?safety\b|not safe\b|unsafe\b|finish reason safety", "Gemini"),
    (r"guard ?rail|jailbreak|prompt injection|prompt attack|prompt guard|llama guard", "Bedrock, LiteLLM, Azure"),
    (r"(?:prompt|input|content|message|text|query)\b…(?:blocked|rejected|refused|denied|filtered|censored) (?:by|due|because|for|as)", "Gemini"),
    (r"blocked? (?:reason|list|word)|recitation|spii|child safety|csam|self harm|hate speech|bioweapon", "Gemini"),
    (r"invalid prompt", "OpenAI"),
    (r"risk (?:control|management|content|detected|detection|inspection|check|word)|exists? risk|(?:prompt|input|content|text)…\brisk", "DeepSeek, Zhipu, Volcengine"),
    (r"sensitive (?:word|term|content|topic)|(?:input|output|content|prompt|text) (?:is )?(?:new )?sensitive", "MiniMax"),
    (r"敏感|违规|違規|违法|違法|不安全|内容安全|安全审核|內容安全|审核|審核|风控|風控|不当|不當|不合规", "Zhipu, Qianfan, Spark"),
    (r"涉黄|涉政|色情|暴力|有害|不良|违禁|違禁|内容审查|内容检测|不允许的内容", "Qianfan, Spark"),
    (r"(?:内容|输入|文本|提示)[^\n.]{0,12}?(?:风险|風險|不符合|不合适|拦截)|存在风险|安全策略|安全规范|使用政策|使用规范", "Zhipu"),
    (r"不適切|有害な|ポリシー違反|ガイドライン|부적절|유해|정책 위반|가이드라인", "Japanese and Korean wordings"),
)

# The context, by its name, at any status.
CONTEXT = _table(
    (r"context (?:length|window|size|limit)s? (?:\w+ )?(?:exceed|overflow|reached|error)", "OpenAI, LiteLLM"),
    (r"too (?:long|large|big) for (?:\w+ ){0,2}model", "Bedrock"),
    (r"maximum context|max context|model s (?:\w+ )?context (?:length|window|size|limit)|available context|context length is only", "OpenAI, vLLM, llama.cpp"),
    (r"(?:exceed|overflow|surpass|outside|beyond|longer than|larger than|greater than|more than|too (?:long|large|big)|fit|over)\w*…\bcontext", "llama.cpp, Ollama, Mistral"),
    (r"\bcontext\b…(?:exceed|overflow|too (?:long|large|big|small)|is full|limit reached)|contextlength|n ctx\b|exceed\w*…\bwindow", "LM Studio"),
    (r"(?:上下文|语境)[^\n.]{0,30}?(?:超|过长|過長|太长|限制|最大)|(?:超|最大|限制)[^\n.]{0,20}?(?:上下文|語境)", "Zhipu, Moonshot"),
    (r"コンテキスト[^\n.]{0,20}?(?:超|長)|컨텍스트[^\n.]{0,20}?초과", "Japanese and Korean wordings"),
)
_PROMPT = r"\b(?:prompts?|inputs?|messages?|requests?|requested|conversation|history|query|text|sequence|tokens?|characters?|context|total|document|chat|string|words?|length)\b"
_BOUND = r"(?:limit|max|window|context|range|length|allowed|supported|permitted|model|capacity|threshold|\d)"
# The length of the prompt, in other words. Each needs a word of `LENGTH` beside it.
TOO_LONG = _table(
    (rf"{_PROMPT}…(?:too|very) (?:long|large|big)", "Anthropic, Databricks, Bedrock"),
    (rf"{_PROMPT}…(?:exceed\w*|overflow\w*|surpass\w*|beyond|longer than|larger than|greater than|more than|over|above|>)…{_BOUND}", "Gemini, Cohere"),
    (rf"(?:exceed\w*|overflow\w*|surpass\w*|beyond|reached|over|above)…{_BOUND}…{_PROMPT}", "Gemini"),
    (rf"{_PROMPT}…(?:must|should|shall|can ?not|can t|may not|has to|have to|needs? to)…(?:<|≤|less|fewer|smaller|shorter|at most|within|exceed|no more|no longer|not more|under|below|between|\bin (?:the )?range|\bin \d|be \d|be in)", "TGI, Together, DashScope"),
    (rf"{_PROMPT}…out of (?:range|bounds)", "Qianfan"),
    (r"range of (?:input|prompt|messages?|context|text)", "DashScope"),
    (r"(?:reduce|shorten|truncate|decrease|cut)…(?:prompt|input|messages?|request|conversation|text|history|context)", "Groq, OpenAI"),
    (r"max(?:imum)? (?:\w+ )?(?:prompt|input|sequence|request|message|token) (?:length|size|tokens?|count|limit)", "xAI"),
    (r"too many (?:\w+ ){0,2}tokens|(?:prompt|input|inputs|token|sequence) (?:length|count|limit) (?:\w+ )?(?:exceed|error|too)", "Bedrock, Cohere"),
    (r"fit (?:in|into|within)…(?:model|window|limit)", "SGLang"),
    (r"(?:提示|输入|輸入|请求|消息|文本|tokens?|字符|字数|内容|对话|prompt|inputs?|messages|长度|長度)[^\n.]{0,40}?(?:超过|超出|超长|超限|过长|過長|太长|太長|超過|大于|上限|过大|限制|小于|少于|不超)", "Zhipu, Qianfan, MiniMax"),
    (r"(?:超过|超出|超過|大于|最大)[^\n.]{0,30}?(?:长度|長度|tokens?|字符|窗口|字数)|超长", "Zhipu, Qianfan"),
    (r"トークン[^\n.]{0,20}?(?:超|上限|長すぎ)|長すぎ|토큰[^\n.]{0,20}?초과|너무 깁니다", "Japanese and Korean wordings"),
)
LENGTH = _table(
    (r"token|character|\blength|\blong|context|\bwords?\b|reduce|shorten|prompt", "all"),
    (r"长|長|字符|字数|上下文|超|トークン|토큰|깁니다", "Chinese, Japanese and Korean wordings"),
)
# Other things that are too large: bytes of a body, files, headers, other options.
NO_PROMPT = _table(
    (r"\b(?:entity|body|payload|uri|url|headers?|images?|audio|video|files?|attachment|bytes?|mb|megabytes?)\b", "nginx, Anthropic"),
    (r"\b(?:schema|temperature|top p|penalty|top log ?probs|seed|stop|tools?|function name|array|choices)\b", "OpenAI"),
    (r"\b(?:timeout|deadline)\b", "a wording"),
    (r"(?:exceed\w*|above|over|greater than|larger than)…maximum (?:\w+ ){0,3}answer", "a wording: the answer's own limit"),
)

# A model that is not there.
NO_MODEL = _table(
    (r"model not found|no such model|unknown model|invalid model(?: name| id)?\b|unsupported model\b|not a valid model|model (?:name )?not exist", "OpenAI, LiteLLM, DeepSeek"),
    (r"\bmodel\b…(?:does not exist|doesn t exist|not exist|not found|is not found|not available on this server|is not recognized|has been deprecated|decommissioned|no longer (?:available|supported))", "vLLM, Ollama, Groq"),
    (r"unable to find…model|could not find…model|path or model id", "transformers"),
    (r"not a local folder|repository not found|not a valid model identifier|can t load (?:the )?(?:model|config\w*|tokenizer)|gated repo|unrecognized model|does not appear to have a file named", "transformers serve"),
    (r"模型[^\n.]{0,12}?(?:不存在|未找到|已下线|不可用)|(?:不存在|无效|未知)的?模型", "Zhipu, new-api"),
)
# A 500 for a fault of the request.
FAULT = _table(
    (r"\b(?:image|audio|video|file|vision|multi ?modal)s?\b…(?:not supported|unsupported|not support|cannot|can t)|mmproj|not a multi ?modal", "llama.cpp"),
    (r"(?:does not|doesn t|do not|not) support(?:ed|s)?\b…(?:image|audio|video|tool|function|role|system|json|schema|grammar|parameter|input|vision)", "llama.cpp, Ollama"),
    (r"\b(?:tools?|function|role|system (?:role|message|prompt)|json|schema|grammar|parameter|input|response format|logprobs)\b…(?:is |are )?(?:not supported|unsupported)", "llama.cpp"),
    (r"failed to parse…(?:tool|argument|message|request|json|grammar|schema|input|body|content)|failed to (?:parse|convert|compile) (?:grammar|schema)", "llama.cpp"),
    (r"json exception|json decode error|invalid json|json parse error|expecting (?:value|property name)|parse error at line", "nlohmann's json in llama.cpp, Python's"),
    (r"(?:missing|expected|requires?|required|without)(?: a| an| the)?(?: \w+){0,3} (?:field|parameter|key|argument|property|name|role|content|tool|function|attribute)\b", "llama.cpp"),
    (r"\b(?:field|parameter|key|argument|property|name|role|content|tool|function|messages?)\b(?: \w+){0,4} (?:is|are|was|must be|field)? ?(?:required|missing|not found|empty|not provided|undefined|must)", "llama.cpp, transformers serve"),
    (r"invalid (?:\w+ )?(?:request|parameter|argument|value|input|schema|message|role|tool|type|message content|field|option|grammar|format)|unexpected (?:field|role|argument|keyword|type)|unknown (?:field|parameter|role|argument|method|type)", "OpenAI's invalid_request_error"),
    (r"unsupported (?:\w+ )?(?:parameter|content|role|type|value|message|format|input|media|tool|param)", "llama.cpp"),
    (r"validation errors?|value error|type error|key error|bad request|unprocessable", "pydantic, Python"),
    (r"roles? (?:is|are) supported|roles must alternate|conversation roles|template error|chat template|jinja|undefined error|raise exception", "chat templates"),
    (r"must be (?:a|an|at least|at most|one of|greater|less|positive|between|of type|in)\b|expected…\bto be\b", "llama.cpp"),
)
# Words of a failure that passes, where the HTTP status says success.
PASSING = _table(
    (r"overload|unavailable|try again|temporar|busy|capacity|internal (?:server )?error|server error", "Gemini, Workers AI"),
    (r"time ?out|timed out|bad gateway|upstream|disconnect|connection (?:error|reset|closed|refused)", "Envoy, nginx"),
    (r"繁忙|稍后|稍後|重试|服务不可用|内部错误|超时|系统错误|服务异常|混雑", "Zhipu, Qianfan"),
)
# Words in a 403 that mean the key, and so every prompt.
EVERY_PROMPT = _table(
    (r"\b(?:api )?keys?\b|\baccounts?\b|organi[sz]ation|\bprojects?\b|workspace|\bteams?\b|tenant", "OpenAI, Groq"),
    (r"subscription|\bplan\b|\btier\b|billing|licen[sc]e", "OpenAI, Groq"),
    (r"\bcountry|\bcountries|\bregions?\b|territor|\blocation\b", "OpenAI, Gemini"),
    (r"\bcredentials?\b|access token|auth\w* token|\bscopes?\b|\biam\b|service account|whitelist|allow ?list", "Google, Bedrock"),
    (r"authentication method|(?:sufficient|insufficient|necessary|required|missing) permissions?", "Hugging Face"),
    (r"\bmodels?\b…(?:access|permission|denied|not (?:allowed|permitted|enabled|available|authorized|entitled|have)|forbidden|restricted)", "OpenAI, DashScope"),
    (r"(?:access|permission|allowed|permitted|authorized|entitled|eligible|enabled)…\bmodels?\b|model not found", "OpenAI, Bedrock"),
    (r"账户|账号|帐号|帐户|賬戶|密钥|令牌|项目|权限|權限|地区|地區|国家|实名|未开通|无权", "Zhipu, Volcengine"),
)
# Words in a 403 that mean this prompt, whatever else it speaks of.
ONE_PROMPT = _table(
    (r"\b(?:this|your|the|that|user) (?:prompt|message|input|content|query|conversation|text)\b", "a wording"),
    (r"\b(?:prompt|message|input|content|query|text) (?:mentions?|contains?|describes?|includes?|has|was)\b", "a wording"),
    (r"(?:described|mentioned|found|detected|included) (?:in|by)\b|\bdetected\b|\bdlp\b|\bpii\b|\bwaf\b|firewall rule", "firewalls and scanners in front"),
)
# A kind of input that this prompt has and another one need not have.
INPUT_KIND = _table(
    (r"support\w* (?:\w+ ){0,2}(?:image|audio|video|file|vision|multi ?modal)", "OpenRouter"),
)

# fmt: on

# Numbers that stand for a meaning at one provider: its name, the field, the number, the
# meaning. Other servers use the same numbers, so a number decides only where status, type
# and words say nothing else.
# https://platform.minimax.io/docs/api-reference/errorcode
# https://docs.z.ai/api-reference/api-code
# https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh
CODES: tuple[tuple[str, str, str, type[StatusError]], ...] = (
    ("MiniMax", "statuscode", "1000", ServerError),
    ("MiniMax", "statuscode", "1001", ServerError),
    ("MiniMax", "statuscode", "1002", RateLimitError),
    ("MiniMax", "statuscode", "1004", AuthenticationError),
    ("MiniMax", "statuscode", "1008", QuotaError),
    ("MiniMax", "statuscode", "1013", ServerError),
    ("MiniMax", "statuscode", "1024", ServerError),
    ("MiniMax", "statuscode", "1026", ContentFilterError),
    ("MiniMax", "statuscode", "1027", ContentFilterError),
    ("MiniMax", "statuscode", "1033", ServerError),
    ("MiniMax", "statuscode", "1039", ContextLengthError),
    ("MiniMax", "statuscode", "1041", RateLimitError),
    ("MiniMax", "statuscode", "2049", AuthenticationError),
    ("Zhipu", "code", "1000", AuthenticationError),
    ("Zhipu", "code", "1001", AuthenticationError),
    ("Zhipu", "code", "1002", AuthenticationError),
    ("Zhipu", "code", "1003", AuthenticationError),
    ("Zhipu", "code", "1004", AuthenticationError),
    ("Zhipu", "code", "1113", QuotaError),
    ("Zhipu", "code", "1261", ContextLengthError),
    ("Zhipu", "code", "1301", ContentFilterError),
    ("Zhipu", "code", "1302", RateLimitError),
    ("Zhipu", "code", "1303", RateLimitError),
    ("Zhipu", "code", "1304", RateLimitError),
    ("Zhipu", "code", "1305", RateLimitError),
    ("Qianfan", "errorcode", "4", RateLimitError),
    ("Qianfan", "errorcode", "17", RateLimitError),
    ("Qianfan", "errorcode", "18", RateLimitError),
    ("Qianfan", "errorcode", "19", RateLimitError),
    ("Qianfan", "errorcode", "110", AuthenticationError),
    ("Qianfan", "errorcode", "111", AuthenticationError),
    ("Qianfan", "errorcode", "336007", ContextLengthError),
    ("Qianfan", "errorcode", "336103", ContextLengthError),
)

# Types and codes that name a status, where HTTP says success; as plain text.
STATUSES = {
    "rate limit error": 429,
    "rate limit exceeded": 429,
    "overloaded error": 529,
    "authentication error": 401,
    "permission error": 403,
    "permission denied error": 403,
    "not found error": 404,
    "invalid request error": 400,
    "bad request error": 400,
    "bad request": 400,
    "server error": 500,
    "internal error": 500,
    "internal server error": 500,
    "internal service error": 500,
    "api error": 500,
    "timeout error": 504,
    "service unavailable": 503,
    "service unavailable error": 503,
    "cf bad gateway": 502,
}
