"""Characters that stand for each other in names: 髙橋 and 高橋, 渡邉 and 渡辺, 齋藤 and 斉藤.

A customer is filed under one spelling and searched for by another. A line of the table is one group: old
and new forms (旧字体, 新字体), forms that family registers keep (俗字), and the few that are taken for each
other every day (斎 and 斉). Written down for this program by that rule, from what names in Japan are written
with. What makes another name (坂 and 阪) is not in it, nor what NFKC makes one anyway.

Nothing that is stored knows of this table: it may grow without an index being built again.
"""

from __future__ import annotations

MAX_OPEN = 16
"""Characters of a word that are looked for in all their forms; what follows stands as it was typed. No name
has so many, and a search that somebody fills with them costs no more than this."""

_GROUPS = """
高髙 崎﨑嵜 浜濱濵 辺邊邉 斎齋斉齊 広廣 徳德 吉𠮷 恵惠 条條 国國圀 真眞 沢澤 桜櫻 島嶋嶌 富冨 淵渕渊 滝瀧
竜龍 橋𣘺槗 桑桒 柳栁 館舘 関關 間閒 浅淺 瀬瀨 頼賴 郎郞 緑綠 緒緖 薫薰 寛寬 増增 悦悅 横橫 清淸 青靑 黒黑
黄黃 郷鄕 豊豐 衛衞 歩步 暦曆 歴歷 昇曻 禄祿 姫姬 晋晉 昂昻 強强 教敎 戸戶 呂吕 宮宫 内內 彦彥 宜冝 土圡
喜㐂 船舩 野埜 峰峯 岳嶽 鶴靏靍 曽曾 村邨 卯夘 鉄鐵 薮藪 蛎蠣 松枩 柏栢 梅楳 秋秌穐 園薗 裏裡 亀龜 塩鹽 竃竈
蔵藏 祢禰 弥彌 栄榮 桧檜 槙槇 亘亙 凛凜 巌巖 尭堯 晃晄 遥遙 瑶瑤 聡聰 萌萠 穣穰 翠翆 渓溪 涼凉 涌湧 磯礒
蓑簑 窓窗 隣鄰 雁鴈 熙煕熈 皐皋 肇肈 虎乕 讃讚 頚頸 頴穎 鋭銳 沖冲 苅刈 篭籠 桝枡 芦蘆 灯燈 静靜 亜亞 悪惡
圧壓 囲圍 医醫 為爲 壱壹 隠隱 営營 駅驛 円圓 縁緣 艶艷 応應 欧歐 奥奧 温溫 穏穩 仮假 価價 画畫 会會 絵繪
壊壞 懐懷 拡擴 殻殼 覚覺 学學 楽樂 渇渴 巻卷 陥陷 勧勸 観觀 顔顏 気氣 既旣 帰歸 偽僞 戯戲 犠犧 旧舊 拠據
挙擧 虚虛 峡峽 挟挾 狭狹 暁曉 区區 駆驅 勲勳 径徑 茎莖 掲揭 経經 蛍螢 軽輕 継繼 鶏鷄 芸藝 撃擊 研硏 県縣
倹儉 剣劍 険險 圏圈 検檢 献獻 権權 顕顯 験驗 厳嚴 効效 恒恆 鉱鑛 号號 砕碎 済濟 剤劑 雑雜 参參 桟棧 蚕蠶
惨慘 賛贊 残殘 糸絲 歯齒 児兒 辞辭 湿濕 実實 写寫 釈釋 寿壽 収收 従從 渋澁 獣獸 縦縱 粛肅 処處 叙敍 将將
称稱 渉涉 焼燒 証證 奨奬 状狀 乗乘 浄淨 剰剩 畳疊 縄繩 壌壤 嬢孃 譲讓 醸釀 触觸 嘱囑 寝寢 慎愼 尽盡 図圖
粋粹 酔醉 穂穗 随隨 髄髓 枢樞 数數 声聲 窃竊 摂攝 専專 戦戰 践踐 銭錢 潜潛 繊纖 禅禪 双雙 壮壯 争爭 荘莊
捜搜 挿插 巣巢 装裝 総總 騒騷 臓臟 即卽 属屬 続續 堕墮 対對 体體 帯帶 滞滯 台臺 択擇 担擔 単單 胆膽 団團
断斷 弾彈 遅遲 痴癡 虫蟲 昼晝 鋳鑄 庁廳 徴徵 聴聽 鎮鎭 逓遞 点點 転轉 伝傳 当當 党黨 盗盜 稲稻 闘鬪 独獨
読讀 届屆 弐貳 悩惱 脳腦 覇霸 拝拜 廃廢 売賣 麦麥 発發 髪髮 抜拔 晩晚 蛮蠻 秘祕 瓶甁 払拂 仏佛 併倂 並竝
変變 弁辨辯 宝寶寳 翻飜 毎每 万萬 満滿 麺麵 黙默 訳譯 薬藥 与與 予豫 余餘 誉譽 揺搖 様樣 謡謠 来來 乱亂 覧覽
両兩 猟獵 塁壘 礼禮 励勵 戻戾 霊靈 齢齡 恋戀 炉爐 労勞 楼樓 録錄 湾灣 鴎鷗 鴬鶯 涛濤 祷禱 莱萊 侠俠 倶俱
剥剝 頬頰 填塡 噛嚙 掴摑 掻搔 撹攪 説說 税稅 産產 餅餠 麹麴 醤醬 ケヶ
"""

GROUPS = tuple(_GROUPS.split())
_FORMS = {letter: group for group in GROUPS for letter in group}


def forms(word: str) -> tuple[str, ...]:
    """For each character of a word (folded: `rows.fold`) those that may stand in its place, itself too."""
    found: list[str] = []
    opened = 0
    for letter in word:
        group = _FORMS.get(letter, letter)
        opened += len(group) > 1
        found.append(group if opened <= MAX_OPEN else letter)
    return tuple(found)
